#include "doctor.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor_facts.h"
#include "log.h"
#include "nic_ethtool.h"
#include "options.h"

#define INTERFACES_MAX 16 /* as many as a capture takes */

struct doctor {
	/* as asked for */
	const char *interfaces[INTERFACES_MAX];
	unsigned interfaces_count;
	bool json, no_trial;

	struct doctor_system system;
	struct doctor_report report;
};

static void print_help(void)
{
	printf("Usage: flowlane doctor [-i IF]... [--no-trial] [--json]\n"
	       "\n"
	       "Says what of live capture will work on this machine and on the interfaces named, and for each problem the command\n"
	       "that mends it. Without -i it lists the Ethernet interfaces. Run it as root: without, much cannot be told.\n"
	       "\n"
	       "  -i, --interface IF   look at this interface, too (up to %u times)\n"
	       "      --no-trial       change nothing on the interfaces. Else two things are tried and taken back at once: a "
	       "program\n"
	       "                       that passes every frame is attached, and an AF_XDP socket bound to queue 0. Some drivers\n"
	       "                       reset the NIC for that, and lose frames for up to a few seconds\n"
	       "      --json           JSON instead of text (docs/doctor.md)\n"
	       "  -h, --help           this text\n"
	       "\n"
	       "Exit code: 0: no problem; 1: wrong usage; 2: there is a problem.\n",
		INTERFACES_MAX);
}

static int usage(const char *text, const char *what)
{
	log_error("doctor: %s%s; see flowlane doctor --help", text, what);
	return EXIT_USAGE;
}

/* Fills what was asked for. 0, or the exit code; *done: that was all (--help). */
static int options_take(struct doctor *doctor, int argc, char **argv, bool *done)
{
	static const struct option known[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "interface", required_argument, NULL, 'i' },
		{ "json", no_argument, NULL, 'j' },
		{ "no-trial", no_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	optind = 0; /* GNU: start afresh */
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":hi:", known, NULL)) != -1) {
		switch (option) {
		case 'h':
			print_help();
			*done = true;
			return 0;
		case 'i':
			if (doctor->interfaces_count == INTERFACES_MAX)
				return usage("more than 16 interfaces: ", optarg);
			doctor->interfaces[doctor->interfaces_count++] = optarg;
			break;
		case 'j':
			doctor->json = true;
			break;
		case 'n':
			doctor->no_trial = true;
			break;
		case ':':
			return usage("an argument is missing after ", argv[optind - 1]);
		default:
			return usage("unknown option ", argv[optind - 1]);
		}
	}
	return optind < argc ? usage("interfaces are named by -i; what is ", argv[optind]) : 0;
}

static void inspect_settings(struct doctor_interface *interface)
{
	struct nic_feature features[NIC_FEATURES];

	int fd = nic_ethtool_open();
	if (fd < 0)
		return;
	if (!nic_ethtool_features(fd, interface->info.name, features)) {
		interface->lro_fixed = !features[NIC_FEATURE_LRO].changeable;
		interface->hw_gro_fixed = !features[NIC_FEATURE_HW_GRO].changeable;
		for (unsigned id = NIC_FEATURE_VLAN_STRIP; id <= NIC_FEATURE_STAG_STRIP; id++)
			interface->vlan_fixed |= features[id].on && !features[id].changeable;
	}
	close(fd);
}

static void report_missing(struct doctor *doctor, const char *name, int error)
{
	char nearest[IF_NAMESIZE];

	if (error != -ENODEV) {
		doctor_add(&doctor->report, name, "link", DOCTOR_PROBLEM, "cannot be looked at: %s", strerror(-error));
		return;
	}
	doctor_add(&doctor->report, name, "link", DOCTOR_PROBLEM, "there is no interface '%s' in this network namespace", name);
	if (nic_nearest(name, nearest))
		doctor_fix(&doctor->report, "flowlane doctor -i %s    (the name that is nearest)", nearest);
	else
		doctor_fix(&doctor->report, "flowlane doctor    (lists those there are)");
}

static void examine_interface(struct doctor *doctor, const char *name)
{
	struct doctor_interface interface = { .trial = { .asked = !doctor->no_trial } };

	int error = nic_inspect(name, &interface.info);
	if (error) {
		report_missing(doctor, name, error);
		return;
	}
	doctor_add_interface(&doctor->report, &interface.info);
	inspect_settings(&interface);
	interface.cpus_near = doctor_count_cpus(interface.info.numa_node);
	if (interface.info.xdp_prog_id)
		doctor_find_owner(interface.info.xdp_prog_id, &interface.owner);
	else if (!doctor->no_trial && interface.info.up && (interface.info.ethernet || interface.info.loopback) &&
		 !*doctor->system.missing)
		doctor_try(&interface.info, &interface.trial);
	doctor_judge_interface(&interface, &doctor->system, &doctor->report);
}

static void list_interfaces(struct doctor *doctor)
{
	char(*names)[IF_NAMESIZE] = NULL;
	unsigned count = 0, listed = 0;
	struct nic_info info;

	if (nic_list(&names, &count))
		count = 0;
	for (unsigned i = 0; i < count; i++) {
		if (nic_inspect(names[i], &info) || !info.ethernet)
			continue;
		doctor_add_interface(&doctor->report, &info);
		listed++;
		doctor_add(&doctor->report, "interfaces", info.name, DOCTOR_OK, "%s%s%s, %s, %u RX queue%s, MTU %u%s",
			*info.driver ? info.driver : info.kind, *info.bus ? " at " : "", info.bus,
			!info.up       ? "down"
			: info.running ? "up"
				       : "up, no carrier",
			info.rx_queues, info.rx_queues == 1 ? "" : "s", info.mtu, info.xdp_prog_id ? ", has an XDP program" : "");
	}
	if (!listed) {
		doctor_add(&doctor->report, "interfaces", "none", DOCTOR_PROBLEM,
			"there is no Ethernet interface in this network namespace");
		doctor_fix(&doctor->report, "ip -brief link    (lists all interfaces)");
	}
	free(names);
}

int doctor_run(int argc, char **argv)
{
	struct doctor *doctor = calloc(1, sizeof(*doctor));
	bool done = false;
	int status;

	if (!doctor) {
		log_error("doctor: out of memory");
		return EXIT_RUNTIME;
	}
	status = options_take(doctor, argc, argv, &done);
	if (!status && !done) {
		doctor_gather_system(&doctor->system);
		doctor_judge_system(&doctor->system, &doctor->report);
		for (unsigned i = 0; i < doctor->interfaces_count; i++)
			examine_interface(doctor, doctor->interfaces[i]);
		if (!doctor->interfaces_count)
			list_interfaces(doctor);
		(doctor->json ? doctor_print_json : doctor_print_text)(&doctor->report, stdout);
		if (doctor->report.incomplete)
			log_error("doctor: out of memory; the report is incomplete");
		status = doctor->report.verdicts[DOCTOR_PROBLEM] || doctor->report.incomplete ? EXIT_RUNTIME : 0;
	}
	if (!status && (fflush(stdout) || ferror(stdout))) {
		log_error("doctor: standard output: cannot write: %s", strerror(errno));
		status = EXIT_RUNTIME;
	}
	doctor_report_free(&doctor->report);
	free(doctor);
	return status;
}
