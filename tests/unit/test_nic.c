/* On a veth pair in a network namespace of this process alone: it is gone with the process. Needs root, and iproute2. */
#include "nic.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>

#include "log.h"
#include "nic_ethtool.h"

#define LONG_NAME "capture-port-of-rack-seven"

static const char *skip_reason = "no namespace was made";
static const struct nic_wishes all_wishes = {
	.promiscuous = true, .no_lro = true, .no_hw_gro = true, .no_rx_vlan_strip = true, .symmetric_rss = true
};

static int make_namespace(void **state)
{
	(void)state;
	log_mute(true);
	if (unshare(CLONE_NEWNET) < 0)
		skip_reason = "a network namespace cannot be made (root?)";
	else if (system("ip link add va numrxqueues 4 numtxqueues 4 address 02:00:00:00:00:01 type veth peer name vb && "
			"ip link set va up && ip link set vb up && ip link property add dev va altname " LONG_NAME) != 0)
		skip_reason = "`ip` is missing, or makes no veth";
	else
		skip_reason = NULL;
	return 0;
}

static void need_namespace(void)
{
	if (skip_reason) {
		print_message("SKIPPED: %s\n", skip_reason);
		skip();
	}
}

static void inspect(const char *name, struct nic_info *info)
{
	assert_int_equal(nic_inspect(name, info), 0);
}

/* All that nic_prepare() can change. */
static void assert_same(const struct nic_info *a, const struct nic_info *b)
{
	assert_int_equal(a->promiscuous, b->promiscuous);
	assert_int_equal(a->lro, b->lro);
	assert_int_equal(a->hw_gro, b->hw_gro);
	assert_int_equal(a->rx_vlan_strip, b->rx_vlan_strip);
	assert_int_equal(a->rx_vlan_filter, b->rx_vlan_filter);
	assert_string_equal(a->rss_text, b->rss_text);
	assert_int_equal(a->rx_queues, b->rx_queues);
	assert_int_equal(a->mtu, b->mtu);
}

static void nic_inspect__when_there_is_no_such_interface__then_enodev_and_a_near_name(void **state)
{
	char nearest[IF_NAMESIZE];
	struct nic_info info;
	struct nic_counters counters;

	(void)state;
	assert_int_equal(nic_inspect("flt-none", &info), -ENODEV);
	assert_int_equal(nic_inspect("", &info), -ENODEV);
	assert_int_equal(nic_inspect("a-name-that-is-longer-than-an-interface-may-have", &info), -ENODEV);
	char *long_name = malloc(301);
	memset(long_name, 'x', 300);
	long_name[300] = '\0';
	assert_int_equal(nic_inspect(long_name, &info), -ENODEV);
	assert_int_equal(nic_read_counters(long_name, &counters), -ENODEV);
	assert_false(nic_nearest(long_name, nearest));
	free(long_name);
	assert_true(nic_nearest("l0", nearest));
	assert_string_equal(nearest, "lo");
}

static void nic_inspect__when_loopback__then_it_is_not_ethernet(void **state)
{
	struct nic_info info;

	(void)state;
	inspect("lo", &info);
	assert_string_equal(info.name, "lo");
	assert_true(info.loopback && !info.ethernet && info.ifindex == 1 && info.numa_node == -1);
	assert_int_equal(info.rx_queues, 1);
	assert_true(info.rss_symmetric);
}

static void nic_inspect__when_veth__then_driver_queues_and_state(void **state)
{
	struct nic_info info;

	(void)state;
	need_namespace();
	inspect(LONG_NAME, &info);
	assert_string_equal(info.name, "va");
	assert_string_equal(info.driver, "veth");
	assert_string_equal(info.kind, "veth");
	assert_true(info.ethernet && info.up && info.running && !info.promiscuous && !info.lro);
	assert_int_equal(info.mtu, 1500);
	assert_int_equal(info.rx_queues, 4);
	assert_true(info.queues_settable && !info.queues_combined);
	assert_true(!info.rss_readable && !info.rss_symmetric && strlen(info.rss_text) > 0);
	assert_int_equal(info.xdp_prog_id, 0);
	assert_int_equal(info.xdp_mode, NIC_XDP_NONE);
	assert_int_equal(system("ip link set vb down"), 0);
	inspect("va", &info);
	assert_true(info.up && !info.running);
	assert_int_equal(system("ip link set vb up"), 0);
}

static void nic_list__when_called__then_all_interfaces_are_there(void **state)
{
	char(*names)[IF_NAMESIZE];
	unsigned count, found = 0;

	(void)state;
	need_namespace();
	assert_int_equal(nic_list(&names, &count), 0);
	for (unsigned i = 0; i < count; i++)
		found += !strcmp(names[i], "lo") || !strcmp(names[i], "va") || !strcmp(names[i], "vb");
	assert_int_equal(found, 3);
	free(names);
}

/* By ethtool(8), not by our own code. */
static bool ethtool_shows_on(const char *feature)
{
	char command[128];

	snprintf(command, sizeof(command), "ethtool -k va | grep -q '^%s: on'", feature);
	return system(command) == 0;
}

static void nic_prepare__when_something_is_changed__then_it_is_said_and_put_back(void **state)
{
	struct nic_info before, during, after;
	struct nic *nic;

	(void)state;
	need_namespace();
	inspect("va", &before);
	assert_true(before.rx_vlan_strip);
	assert_int_equal(nic_prepare(&before, &all_wishes, &nic), 0);
	assert_string_equal(nic_changes(nic), "promiscuous mode on, rxvlan off, rx-vlan-stag-hw-parse off");
	assert_true(nic_needs_admin(nic));
	inspect("va", &during);
	assert_true(during.promiscuous && !during.rx_vlan_strip);
	assert_false(ethtool_shows_on("rx-vlan-offload"));
	assert_false(ethtool_shows_on("rx-vlan-stag-hw-parse"));
	nic_restore(nic);
	inspect("va", &after);
	assert_same(&before, &after);
	assert_true(ethtool_shows_on("rx-vlan-offload"));
	assert_true(ethtool_shows_on("rx-vlan-stag-hw-parse"));
}

static void nic_prepare__when_it_is_as_wished_already__then_nothing_is_changed_or_put_back(void **state)
{
	struct nic_info info;
	struct nic *nic;

	(void)state;
	need_namespace();
	assert_int_equal(system("ethtool -K va rxvlan off rx-vlan-stag-hw-parse off && ip link set va promisc on"), 0);
	inspect("va", &info);
	assert_int_equal(nic_prepare(&info, &all_wishes, &nic), 0);
	assert_string_equal(nic_changes(nic), "");
	assert_false(nic_needs_admin(nic));
	/* Whoever set it may take it back: it stays for us. */
	assert_int_equal(system("ip link set va promisc off"), 0);
	inspect("va", &info);
	assert_true(info.promiscuous);
	nic_restore(nic);
	inspect("va", &info);
	assert_true(!info.promiscuous && !info.rx_vlan_strip);
	assert_int_equal(system("ethtool -K va rxvlan on rx-vlan-stag-hw-parse on"), 0);
}

static void nic_prepare__when_nothing_is_wished__then_nothing_is_changed(void **state)
{
	const struct nic_wishes none = { 0 };
	struct nic_info before, during;
	struct nic *nic;

	(void)state;
	need_namespace();
	inspect("va", &before);
	assert_int_equal(nic_prepare(&before, &none, &nic), 0);
	inspect("va", &during);
	assert_same(&before, &during);
	assert_string_equal(nic_changes(nic), "");
	nic_restore(nic);
	nic_restore(NULL);
}

static void nic_prepare__when_the_process_is_killed__then_promiscuous_mode_ends(void **state)
{
	const struct nic_wishes wishes = { .promiscuous = true };
	struct nic_info info;
	int ready[2], status;
	struct nic *nic;
	char byte = 0;

	(void)state;
	need_namespace();
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		byte = !nic_inspect("va", &info) && !nic_prepare(&info, &wishes, &nic);
		if (write(ready[1], &byte, 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(byte, 1);
	inspect("va", &info);
	assert_true(info.promiscuous);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	inspect("va", &info);
	assert_false(info.promiscuous);
	close(ready[0]);
	close(ready[1]);
}

static void nic_prepare__when_the_interface_has_gone__then_enodev_and_nothing_is_held(void **state)
{
	struct nic_info info;
	struct nic *nic = NULL;

	(void)state;
	need_namespace();
	assert_int_equal(system("ip link add vc type veth peer name vd"), 0);
	inspect("vc", &info);
	assert_int_equal(nic_prepare(&info, &all_wishes, &nic), 0);
	assert_int_equal(system("ip link del vc"), 0);
	nic_restore(nic);
	nic = NULL;
	assert_int_equal(nic_prepare(&info, &all_wishes, &nic), -ENODEV);
	assert_null(nic);
}

static void nic_restore__when_in_another_namespace_meanwhile__then_the_right_interface_is_put_back(void **state)
{
	struct nic_info before;
	struct nic *nic;
	int status;

	(void)state;
	need_namespace();
	inspect("va", &before);
	pid_t child = fork();
	if (child == 0) {
		if (nic_prepare(&before, &all_wishes, &nic) || unshare(CLONE_NEWNET) || system("ip link add va type veth") ||
			system("ethtool -K va rxvlan off"))
			_exit(1);
		nic_restore(nic);
		_exit(ethtool_shows_on("rx-vlan-offload") ? 2 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_true(ethtool_shows_on("rx-vlan-offload"));
}

static int program_attach(const char *name, unsigned ifindex, unsigned mode)
{
	static const struct bpf_insn pass[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = mode);
	int program = bpf_prog_load(BPF_PROG_TYPE_XDP, name, "GPL", pass, 2, NULL);

	assert_true(program >= 0);
	int link = bpf_link_create(program, (int)ifindex, BPF_XDP, &options);
	assert_true(link >= 0);
	close(program);
	return link;
}

/* Who lists the machine's links, as the doctor does, holds each for a moment: until then it outlives its descriptor. */
static void inspect_detached(const char *name, struct nic_info *info)
{
	for (unsigned i = 0; i < 2000; i++) {
		inspect(name, info);
		if (!info->xdp_prog_id)
			return;
		usleep(1000);
	}
}

static void nic_inspect__when_a_program_is_attached__then_its_name_and_mode(void **state)
{
	struct nic_info info;

	(void)state;
	need_namespace();
	inspect("va", &info);
	int link = program_attach("flt_other", info.ifindex, XDP_FLAGS_SKB_MODE);
	inspect("va", &info);
	assert_true(info.xdp_prog_id > 0);
	assert_string_equal(info.xdp_prog_name, "flt_other");
	assert_int_equal(info.xdp_mode, NIC_XDP_GENERIC);
	close(link);
	inspect_detached("va", &info);
	link = program_attach("flt_native", info.ifindex, XDP_FLAGS_DRV_MODE);
	inspect("va", &info);
	assert_string_equal(info.xdp_prog_name, "flt_native");
	assert_int_equal(info.xdp_mode, NIC_XDP_NATIVE);
	close(link);
	inspect_detached("va", &info);
	assert_int_equal(info.xdp_prog_id, 0);
}

static void nic_read_counters__when_frames_arrive__then_they_count(void **state)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	struct nic_counters before, after;

	(void)state;
	need_namespace();
	assert_int_equal(
		system("ip address add 192.0.2.1/24 dev vb && ip neighbour add 192.0.2.2 lladdr 02:00:00:00:00:01 dev vb"), 0);
	assert_int_equal(inet_pton(AF_INET, "192.0.2.2", &to.sin_addr), 1);
	assert_int_equal(nic_read_counters("va", &before), 0);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)), 1);
	close(fd);
	assert_int_equal(nic_read_counters("va", &after), 0);
	assert_true(after.packets >= before.packets + 5 && after.bytes >= before.bytes + 5 * 43);
}

static void nic_queues_command__when_channels_differ__then_the_command_does(void **state)
{
	struct nic_info info = { .name = "eth1", .queues_settable = true, .queues_combined = true };
	char text[128];

	(void)state;
	nic_queues_command(&info, 4, "sudo ", text, sizeof(text));
	assert_string_equal(text, "sudo ethtool -L eth1 combined 4");
	info.queues_combined = false;
	nic_queues_command(&info, 4, "", text, sizeof(text));
	assert_string_equal(text, "ethtool -L eth1 rx 4");
	strcpy(info.kind, "veth");
	nic_queues_command(&info, 1, "", text, sizeof(text));
	assert_non_null(strstr(text, "ethtool -L PEER tx 1 && ethtool -L eth1 rx 1"));
	info.queues_settable = false;
	nic_queues_command(&info, 4, "", text, sizeof(text));
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nic_inspect__when_there_is_no_such_interface__then_enodev_and_a_near_name),
		cmocka_unit_test(nic_inspect__when_loopback__then_it_is_not_ethernet),
		cmocka_unit_test(nic_inspect__when_veth__then_driver_queues_and_state),
		cmocka_unit_test(nic_list__when_called__then_all_interfaces_are_there),
		cmocka_unit_test(nic_prepare__when_something_is_changed__then_it_is_said_and_put_back),
		cmocka_unit_test(nic_prepare__when_it_is_as_wished_already__then_nothing_is_changed_or_put_back),
		cmocka_unit_test(nic_prepare__when_nothing_is_wished__then_nothing_is_changed),
		cmocka_unit_test(nic_prepare__when_the_process_is_killed__then_promiscuous_mode_ends),
		cmocka_unit_test(nic_prepare__when_the_interface_has_gone__then_enodev_and_nothing_is_held),
		cmocka_unit_test(nic_restore__when_in_another_namespace_meanwhile__then_the_right_interface_is_put_back),
		cmocka_unit_test(nic_inspect__when_a_program_is_attached__then_its_name_and_mode),
		cmocka_unit_test(nic_read_counters__when_frames_arrive__then_they_count),
		cmocka_unit_test(nic_queues_command__when_channels_differ__then_the_command_does),
	};

	return cmocka_run_group_tests(tests, make_namespace, NULL);
}
