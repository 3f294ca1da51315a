/* Facts to findings, and findings to text and JSON. The facts of this machine play no part. */
#include "doctor.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "doctor_facts.h"
#include "log.h"

static struct doctor_system healthy_system(void)
{
	return (struct doctor_system){ .kernel = "6.18.0",
		.libbpf = "v1.1",
		.pcap = "libpcap 1.10",
		.executable = "/usr/bin/flowlane",
		.memlock_bytes = UINT64_MAX,
		.ipc_lock = true,
		.bpf_jit = 1,
		.huge_2m_total = 512,
		.huge_2m_free = 500,
		.thp = true,
		.cpus = 8,
		.cpus_allowed = 8,
		.numa_nodes = 1 };
}

static struct doctor_interface healthy_interface(void)
{
	return (struct doctor_interface){ .info = { .name = "eth1",
						  .ifindex = 7,
						  .driver = "ice",
						  .bus = "0000:03:00.0",
						  .up = true,
						  .running = true,
						  .ethernet = true,
						  .mtu = 1500,
						  .rx_queues = 4,
						  .rx_queues_max = 16,
						  .queues_settable = true,
						  .queues_combined = true,
						  .rx_ring = 4096,
						  .rx_ring_max = 4096,
						  .numa_node = 0,
						  .speed_mbps = 10000,
						  .rss_readable = true,
						  .rss_symmetric = true,
						  .rss_text = "symmetric-xor",
						  .xdp_known = true,
						  .xdp_native = true,
						  .xdp_zerocopy = true },
		.trial = { .asked = true },
		.cpus_near = 4 };
}

/* The only finding of this check. */
static const struct doctor_finding *finding_of(const struct doctor_report *report, const char *check)
{
	const struct doctor_finding *found = NULL;

	for (unsigned i = 0; i < report->count; i++) {
		if (strcmp(report->findings[i].check, check) != 0)
			continue;
		assert_null(found);
		found = &report->findings[i];
	}
	return found;
}

static void check_finding(
	const struct doctor_report *report, const char *check, enum doctor_verdict verdict, const char *text, const char *fix)
{
	const struct doctor_finding *finding = finding_of(report, check);

	if (!finding)
		fail_msg("no finding '%s'", check);
	if (finding->verdict != verdict || !strstr(finding->text, text) || !strstr(finding->fix, fix) || (!*fix && *finding->fix))
		fail_msg("%s: verdict %d: %s -> %s", check, finding->verdict, finding->text, finding->fix);
}

static void doctor_judge__when_all_is_well__then_nothing_is_to_be_mended(void **state)
{
	struct doctor_system system = healthy_system();
	struct doctor_interface interface = healthy_interface();
	struct doctor_report report = { 0 };

	(void)state;
	doctor_judge_system(&system, &report);
	doctor_judge_interface(&interface, &system, &report);
	for (unsigned i = 0; i < report.count; i++) {
		if (report.findings[i].verdict != DOCTOR_OK || *report.findings[i].fix)
			fail_msg("%s: %s", report.findings[i].check, report.findings[i].text);
	}
	assert_int_equal(report.verdicts[DOCTOR_OK], report.count);
	assert_true(report.count > 20);
	doctor_report_free(&report);
}

struct system_case {
	void (*ail)(struct doctor_system *system);
	const char *check;
	enum doctor_verdict verdict;
	const char *text, *fix;
};

#define AILMENT(name, ...)                                                                                                         \
	static void name(struct doctor_system *s)                                                                                  \
	{                                                                                                                          \
		__VA_ARGS__;                                                                                                       \
	}
AILMENT(no_capability, strcpy(s->missing, "CAP_BPF"))
AILMENT(no_capability_no_load, strcpy(s->missing, "CAP_BPF"); s->probes.load = -EPERM)
AILMENT(locked_down, s->probes.load = -EPERM)
AILMENT(no_jit, s->bpf_jit = 0)
AILMENT(no_link, s->probes.link = -EINVAL)
AILMENT(link_untried, s->probes.link = DOCTOR_NOT_TRIED)
AILMENT(no_xsk, s->probes.socket = -EAFNOSUPPORT)
AILMENT(no_frags, s->probes.frags = -EINVAL)
AILMENT(no_sg, s->probes.socket_sg = -EINVAL)
AILMENT(sg_untried, s->probes.socket_sg = DOCTOR_NOT_TRIED)
AILMENT(no_metadata, s->probes.metadata = -EINVAL)
AILMENT(no_busy_poll, s->probes.busy_poll = -ENOPROTOOPT)
AILMENT(io_uring_forbidden, s->probes.io_uring = -EPERM)
AILMENT(no_io_uring, s->probes.io_uring = -ENOSYS)
AILMENT(no_huge_pages, s->huge_2m_total = 10; s->huge_2m_free = 0)
AILMENT(no_thp, s->thp = false)
AILMENT(one_cpu, s->cpus_allowed = 1)
AILMENT(irqbalance_runs, s->irqbalance = true)
AILMENT(little_memlock, s->ipc_lock = false; s->memlock_bytes = UINT64_C(2) << 30)

static void doctor_judge_system__when_something_ails__then_it_is_said_with_the_cure(void **state)
{
	static const struct system_case cases[] = {
		{ no_capability, "capabilities", DOCTOR_PROBLEM, "CAP_BPF", "setcap cap_net_admin" },
		{ no_capability_no_load, "bpf", DOCTOR_CANNOT_TELL, "capabilities", "" },
		{ locked_down, "bpf", DOCTOR_PROBLEM, "not permitted", "lockdown" },
		{ no_jit, "bpf_jit", DOCTOR_PROBLEM, "interpreted", "sysctl -w net.core.bpf_jit_enable=1" },
		{ no_link, "bpf_link", DOCTOR_PROBLEM, "no bpf_link", "Linux 5.9" },
		{ link_untried, "bpf_link", DOCTOR_CANNOT_TELL, "not tried", "" },
		{ no_xsk, "af_xdp", DOCTOR_PROBLEM, "no AF_XDP", "CONFIG_XDP_SOCKETS" },
		{ no_frags, "multi_buffer", DOCTOR_NOTE, "3802", "" },
		{ no_sg, "multi_buffer", DOCTOR_NOTE, "Linux 6.6", "" },
		{ sg_untried, "multi_buffer", DOCTOR_CANNOT_TELL, "not tried", "" },
		{ no_metadata, "metadata", DOCTOR_NOTE, "Linux 6.3", "" },
		{ no_busy_poll, "busy_poll", DOCTOR_NOTE, "Linux 5.11", "" },
		{ io_uring_forbidden, "io_uring", DOCTOR_NOTE, "forbidden", "kernel.io_uring_disabled=0" },
		{ no_io_uring, "io_uring", DOCTOR_NOTE, "has none", "" },
		{ no_huge_pages, "huge_pages", DOCTOR_NOTE, "10 reserved", "vm.nr_hugepages=266" },
		{ no_thp, "thp", DOCTOR_NOTE, "off", "transparent_hugepage" },
		{ one_cpu, "cpus", DOCTOR_NOTE, "1 of 8", "" },
		{ irqbalance_runs, "irqbalance", DOCTOR_NOTE, "is running", "systemctl stop irqbalance" },
		{ little_memlock, "memlock", DOCTOR_OK, "2048 MiB", "" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct doctor_system system = healthy_system();
		struct doctor_report report = { 0 };

		cases[i].ail(&system);
		doctor_judge_system(&system, &report);
		check_finding(&report, cases[i].check, cases[i].verdict, cases[i].text, cases[i].fix);
		doctor_report_free(&report);
	}
}

struct interface_case {
	void (*ail)(struct doctor_interface *interface, struct doctor_system *system);
	const char *check;
	enum doctor_verdict verdict;
	const char *text, *fix;
};

#define TROUBLE(name, ...)                                                                                                         \
	static void name(struct doctor_interface *i, struct doctor_system *s)                                                      \
	{                                                                                                                          \
		(void)s;                                                                                                           \
		(void)i;                                                                                                           \
		__VA_ARGS__;                                                                                                       \
	}
TROUBLE(is_down, i->info.up = i->info.running = false)
TROUBLE(no_carrier, i->info.running = false)
TROUBLE(not_ethernet, i->info.ethernet = false)
TROUBLE(no_speed, i->info.speed_mbps = 0)
TROUBLE(far_node, i->cpus_near = 0; i->info.numa_node = 1)
TROUBLE(no_node, i->info.numa_node = -1; i->info.driver[0] = '\0'; strcpy(i->info.kind, "bond"))
TROUBLE(many_queues, i->info.rx_queues = 16)
TROUBLE(many_queues_unsettable, i->info.rx_queues = 16; i->info.queues_settable = false)
TROUBLE(one_queue, i->info.rx_queues = 1)
TROUBLE(one_queue_veth, i->info.rx_queues = 1; strcpy(i->info.kind, "veth"))
TROUBLE(small_ring, i->info.rx_ring = 512)
TROUBLE(no_ring, i->info.rx_ring = i->info.rx_ring_max = 0)
TROUBLE(jumbo, i->info.mtu = 9000)
TROUBLE(jumbo_old_kernel, i->info.mtu = 9000; s->probes.socket_sg = -EINVAL)
TROUBLE(jumbo_unknown, i->info.mtu = 9000; s->probes.socket_sg = DOCTOR_NOT_TRIED)
TROUBLE(other_program, i->info.xdp_prog_id = 12; i->info.xdp_mode = NIC_XDP_GENERIC; strcpy(i->info.xdp_prog_name, "firewall"))
TROUBLE(other_link, other_program(i, s); i->owner.pid = 77; i->owner.by_link = true; strcpy(i->owner.name, "cilium"))
TROUBLE(many_programs, i->info.xdp_mode = NIC_XDP_SEVERAL)
TROUBLE(frags_only, i->trial.native = -ERANGE)
TROUBLE(generic_only, i->trial.native = i->trial.native_frags = -EOPNOTSUPP)
TROUBLE(generic_by_mtu, i->trial.native = i->trial.native_frags = -EINVAL)
TROUBLE(veth_peer, i->trial.native = i->trial.native_frags = -ENOSPC; strcpy(i->info.kind, "veth"))
TROUBLE(no_xdp, i->trial.native = i->trial.native_frags = i->trial.generic = -EOPNOTSUPP)
TROUBLE(no_zerocopy, i->trial.zerocopy = -EOPNOTSUPP)
TROUBLE(zerocopy_fails, i->trial.zerocopy = -ENOMEM)
TROUBLE(zerocopy_busy, i->trial.zerocopy = -EBUSY)
TROUBLE(no_bind, i->trial.zerocopy = i->trial.copy = -ENOBUFS)
TROUBLE(no_trial, i->trial.asked = false)
TROUBLE(no_trial_old_kernel, i->trial.asked = false; i->info.xdp_known = false)
TROUBLE(no_rights, strcpy(s->missing, "CAP_BPF"))
TROUBLE(time_stamps, i->info.xdp_rx_timestamp = true)
TROUBLE(time_stamps_veth, i->info.xdp_rx_timestamp = true; strcpy(i->info.kind, "veth"))
TROUBLE(lro_on, i->info.lro = true)
TROUBLE(hw_gro_fixed, i->info.hw_gro = i->hw_gro_fixed = true)
TROUBLE(vlan_strip_on, i->info.rx_vlan_strip = true)
TROUBLE(vlan_filter_on, i->info.rx_vlan_filter = true)
TROUBLE(rss_key, i->info.rss_symmetric = false)
TROUBLE(rss_unknown, i->info.rss_symmetric = i->info.rss_readable = false)

static void doctor_judge_interface__when_something_ails__then_it_is_said_with_the_cure(void **state)
{
	static const struct interface_case cases[] = {
		{ is_down, "link", DOCTOR_PROBLEM, "down", "ip link set dev eth1 up" },
		{ is_down, "zero_copy", DOCTOR_OK, "not tried: the interface is down", "" },
		{ no_carrier, "link", DOCTOR_PROBLEM, "no carrier", "cable" },
		{ not_ethernet, "link", DOCTOR_PROBLEM, "not Ethernet", "flowlane doctor" },
		{ no_speed, "link", DOCTOR_OK, "unknown", "" },
		{ far_node, "driver", DOCTOR_NOTE, "NUMA node 1", "node1/cpulist" },
		{ no_node, "driver", DOCTOR_OK, "bond at 0000:03:00.0", "" },
		{ many_queues, "queues", DOCTOR_NOTE, "16 RX queues", "sudo ethtool -L eth1 combined 8" },
		{ many_queues_unsettable, "queues", DOCTOR_NOTE, "16 RX queues", "" },
		{ one_queue, "queues", DOCTOR_NOTE, "1 RX queue of 16", "sudo ethtool -L eth1 combined 8" },
		{ one_queue_veth, "queues", DOCTOR_OK, "1 RX queue of 16", "" },
		{ small_ring, "rings", DOCTOR_NOTE, "512", "ethtool -G eth1 rx 4096" },
		{ no_ring, "rings", DOCTOR_OK, "none", "" },
		{ jumbo, "mtu", DOCTOR_OK, "several buffers, which this kernel has", "" },
		{ jumbo_old_kernel, "mtu", DOCTOR_PROBLEM, "has not", "mtu 3802" },
		{ jumbo_unknown, "mtu", DOCTOR_CANNOT_TELL, "may have", "mtu 3802" },
		{ other_program, "xdp_program", DOCTOR_PROBLEM, "'firewall' (id 12)", "ip link set dev eth1 xdpgeneric off" },
		{ other_program, "xdp", DOCTOR_OK, "not tried: another program is attached", "" },
		{ other_link, "xdp_program", DOCTOR_PROBLEM, "cilium (77)", "kill 77" },
		{ many_programs, "xdp_program", DOCTOR_PROBLEM, "'?'", "xdp off" },
		{ frags_only, "xdp", DOCTOR_OK, "several buffers", "" },
		{ generic_only, "xdp", DOCTOR_NOTE, "generic only", "" },
		{ generic_by_mtu, "xdp", DOCTOR_NOTE, "generic only", "mtu 1500" },
		{ veth_peer, "xdp", DOCTOR_NOTE, "generic only", "ethtool -L PEER tx 4" },
		{ no_xdp, "xdp", DOCTOR_PROBLEM, "no program", "ip -details link show eth1" },
		{ no_zerocopy, "zero_copy", DOCTOR_NOTE, "not with this driver", "" },
		{ zerocopy_fails, "zero_copy", DOCTOR_NOTE, "Cannot allocate memory", "" },
		{ zerocopy_busy, "zero_copy", DOCTOR_CANNOT_TELL, "another process", "" },
		{ no_bind, "zero_copy", DOCTOR_PROBLEM, "no AF_XDP socket", "dmesg" },
		{ no_trial, "zero_copy", DOCTOR_OK, "--no-trial", "" },
		{ no_trial_old_kernel, "xdp", DOCTOR_CANNOT_TELL, "--no-trial", "" },
		{ no_rights, "xdp", DOCTOR_OK, "not tried: capabilities", "" },
		{ time_stamps, "timestamps", DOCTOR_OK, "the NIC's own", "" },
		{ time_stamps_veth, "timestamps", DOCTOR_OK, "none by the NIC", "" },
		{ lro_on, "lro", DOCTOR_OK, "switches it off", "" },
		{ hw_gro_fixed, "hw_gro", DOCTOR_NOTE, "does not let it", "" },
		{ vlan_strip_on, "vlan_strip", DOCTOR_OK, "switches it off", "" },
		{ vlan_filter_on, "vlan_filter", DOCTOR_NOTE, "on", "rx-vlan-filter off" },
		{ rss_key, "rss", DOCTOR_NOTE, "symmetric-xor", "ethtool -X eth1 hfunc toeplitz symmetric-xor" },
		{ rss_unknown, "rss", DOCTOR_PROBLEM, "two flows", "sudo ethtool -L eth1 combined 1" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct doctor_system system = healthy_system();
		struct doctor_interface interface = healthy_interface();
		struct doctor_report report = { 0 };

		cases[i].ail(&interface, &system);
		doctor_judge_interface(&interface, &system, &report);
		check_finding(&report, cases[i].check, cases[i].verdict, cases[i].text, cases[i].fix);
		assert_string_equal(finding_of(&report, cases[i].check)->section, "eth1");
		doctor_report_free(&report);
	}
}

/* What was printed; to be freed. */
static char *printed(const struct doctor_report *report, void (*print)(const struct doctor_report *report, FILE *file))
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	assert_non_null(file);
	print(report, file);
	fclose(file);
	return text;
}

static void doctor_print__when_a_name_is_hostile__then_the_output_is_whole(void **state)
{
	struct doctor_report report = { 0 };

	(void)state;
	doctor_add(&report, DOCTOR_SYSTEM, "kernel", DOCTOR_OK, "Linux %d", 6);
	doctor_add(&report, "eth\"1", "xdp_program", DOCTOR_PROBLEM, "%s", "a\"b\\c\n\x1b[2J\xe9");
	doctor_fix(&report, "kill %d", 7);
	char *text = printed(&report, doctor_print_text);
	assert_null(strchr(text, 0x1b));
	assert_non_null(strstr(text, "  problem      xdp_program       a\"b\\c??[2J"));
	assert_non_null(strstr(text, "-> kill 7\n"));
	assert_non_null(strstr(text, "\n1 problem\n"));
	free(text);
	text = printed(&report, doctor_print_json);
	assert_non_null(strstr(text, "\"section\": \"eth\\\"1\", \"check\": \"xdp_program\", \"verdict\": \"problem\", "
				     "\"text\": \"a\\\"b\\\\c\\u000a\\u001b[2J\\u00e9\", \"fix\": \"kill 7\"}"));
	assert_non_null(strstr(text, "\"text\": \"Linux 6\", \"fix\": null}"));
	assert_non_null(strstr(text, "\"problems\": 1,"));
	free(text);
	doctor_report_free(&report);
}

static void doctor_print__when_texts_are_too_long__then_they_are_cut(void **state)
{
	struct doctor_report report = { 0 };
	char *long_text = malloc(5001);

	(void)state;
	memset(long_text, 'x', 5000);
	long_text[5000] = '\0';
	for (unsigned i = 0; i < 100; i++) {
		doctor_add(&report, long_text, long_text, DOCTOR_NOTE, "%s", long_text);
		doctor_fix(&report, "%s", long_text);
	}
	assert_int_equal(report.count, 100);
	assert_int_equal(strlen(report.findings[99].text), sizeof(report.findings[99].text) - 1);
	assert_int_equal(strlen(report.findings[99].section), IF_NAMESIZE - 1);
	free(long_text);
	doctor_report_free(&report);
}

static void doctor_print__when_there_is_nothing__then_valid_all_the_same(void **state)
{
	struct doctor_report report = { 0 };

	(void)state;
	char *text = printed(&report, doctor_print_json);
	assert_string_equal(text,
		"{\n  \"problems\": 0,\n  \"notes\": 0,\n  \"cannot_tell\": 0,\n  \"findings\": [],\n  \"interfaces\": []\n}\n");
	free(text);
	text = printed(&report, doctor_print_text);
	assert_string_equal(text, "\nAll is well.\n");
	free(text);
	doctor_report_free(&report);
}

static void doctor_run__when_the_usage_is_wrong__then_1(void **state)
{
	static char *const wrong[][4] = { { "doctor", "-x" }, { "doctor", "eth0" }, { "doctor", "-i" }, { "doctor", "--nothing" } };

	(void)state;
	log_mute(true);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(doctor_run(wrong[i][2] ? 3 : 2, (char **)wrong[i]), 1);
	log_mute(false);
}

static void doctor_find_owner__when_nobody_has_the_program__then_nobody(void **state)
{
	struct doctor_owner owner = { .pid = 1 };

	(void)state;
	doctor_find_owner(UINT32_MAX, &owner);
	assert_int_equal(owner.pid, 0);
	assert_false(owner.by_link);
}

/* On a veth pair in a namespace of the child alone. */
static int in_namespace(void (*checks)(void))
{
	int status = -1;

	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		if (unshare(CLONE_NEWNET) ||
			system("ip link add va type veth peer name vb && ip link set va up && ip link set vb up"))
			_exit(77);
		checks();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("SKIPPED: no namespace with a veth can be made (root? iproute2?)\n");
		skip();
	}
	return WEXITSTATUS(status);
}

/* Ends the child with the line of what does not hold. */
#define CHECK(condition)                                                                                                           \
	do {                                                                                                                       \
		if (!(condition)) {                                                                                                \
			print_error("line %d: %s\n", __LINE__, #condition);                                                        \
			_exit(1);                                                                                                  \
		}                                                                                                                  \
	} while (0)

static void checks_trial(void)
{
	struct doctor_trial trial = { .asked = true };
	struct nic_info info;

	CHECK(!nic_inspect("va", &info));
	doctor_try(&info, &trial);
	CHECK(trial.native == 0);
	CHECK(trial.zerocopy == -EOPNOTSUPP); /* veth has none */
	CHECK(trial.copy == 0);
	CHECK(!nic_inspect("va", &info) && info.xdp_prog_id == 0 && info.xdp_mode == NIC_XDP_NONE);
	/* A socket left behind would make the second one busy. */
	doctor_try(&info, &trial);
	CHECK(trial.copy == 0);
}

static void doctor_try__when_on_a_veth__then_right_and_nothing_is_left(void **state)
{
	(void)state;
	assert_int_equal(in_namespace(checks_trial), 0);
}

static void checks_owner(void)
{
	static const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct doctor_trial trial = { .asked = true };
	struct doctor_owner owner;
	struct nic_info info;

	CHECK(!nic_inspect("va", &info));
	int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "flt_other", "GPL", pass, 2, NULL);
	CHECK(program >= 0);
	int link = bpf_link_create(program, (int)info.ifindex, BPF_XDP, NULL);
	CHECK(link >= 0);
	CHECK(!nic_inspect("va", &info) && !strcmp(info.xdp_prog_name, "flt_other"));
	doctor_find_owner(info.xdp_prog_id, &owner);
	CHECK(owner.pid == getpid() && owner.by_link && strstr(owner.name, "test_doctor"));
	/* Someone else's program is never pushed aside. */
	uint32_t id = info.xdp_prog_id;
	doctor_try(&info, &trial);
	CHECK(trial.native < 0 && trial.generic < 0);
	CHECK(!nic_inspect("va", &info) && info.xdp_prog_id == id);
	close(link);
	doctor_find_owner(id, &owner);
	CHECK(owner.pid == getpid() && !owner.by_link);
}

static void doctor_find_owner__when_a_process_holds_it__then_that_one_and_it_stays(void **state)
{
	(void)state;
	assert_int_equal(in_namespace(checks_owner), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(doctor_judge__when_all_is_well__then_nothing_is_to_be_mended),
		cmocka_unit_test(doctor_judge_system__when_something_ails__then_it_is_said_with_the_cure),
		cmocka_unit_test(doctor_judge_interface__when_something_ails__then_it_is_said_with_the_cure),
		cmocka_unit_test(doctor_print__when_a_name_is_hostile__then_the_output_is_whole),
		cmocka_unit_test(doctor_print__when_texts_are_too_long__then_they_are_cut),
		cmocka_unit_test(doctor_print__when_there_is_nothing__then_valid_all_the_same),
		cmocka_unit_test(doctor_run__when_the_usage_is_wrong__then_1),
		cmocka_unit_test(doctor_find_owner__when_nobody_has_the_program__then_nobody),
		cmocka_unit_test(doctor_try__when_on_a_veth__then_right_and_nothing_is_left),
		cmocka_unit_test(doctor_find_owner__when_a_process_holds_it__then_that_one_and_it_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
