/* The receive hash of NICs that are not here: ioctl() below is the kernel and the driver. */
#include "nic.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <cmocka.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>

#include "log.h"
#include "nic_rss.h"

#define INDIRECTION 128

struct fake {
	/* what it is like */
	const char *name;
	bool old_kernel;    /* before 6.8: the byte of the transform is reserved, and must be 0 */
	uint8_t transforms; /* that the driver knows */
	bool key_settable;
	unsigned key_bytes;
	uint64_t tcp4_fields;
	int refuses; /* errno for all settings; 0 */
	/* what is expected */
	const char *changes;

	/* what it has */
	uint8_t transform, function;
	uint8_t key[52];
	unsigned settings; /* calls that changed something */
};

static struct fake fake;

static int fake_set(const struct ethtool_rxfh *wish)
{
	const uint8_t *key = (const uint8_t *)wish->rss_config;

	if (fake.refuses)
		return fake.refuses;
	if (wish->rss_context || wish->rsvd8[1] || wish->rsvd8[2] || wish->rsvd32 || wish->indir_size != ETH_RXFH_INDIR_NO_CHANGE)
		return EINVAL;
	if (fake.old_kernel && wish->rsvd8[0])
		return EINVAL;
	if (wish->rsvd8[0] & ~fake.transforms)
		return EOPNOTSUPP;
	if (wish->key_size && wish->key_size != fake.key_bytes)
		return EINVAL;
	if (wish->key_size && memcmp(key, fake.key, wish->key_size) != 0 && !fake.key_settable)
		return EOPNOTSUPP;
	fake.transform = wish->rsvd8[0];
	memcpy(fake.key, key, wish->key_size);
	fake.settings++;
	return 0;
}

static int fake_get(struct ethtool_rxfh *answer)
{
	uint32_t indirection = answer->indir_size, key = answer->key_size;

	if (!indirection && !key) {
		answer->indir_size = INDIRECTION;
		answer->key_size = fake.key_bytes;
		return 0;
	}
	if (indirection != INDIRECTION || key != fake.key_bytes)
		return EINVAL;
	for (unsigned i = 0; i < INDIRECTION; i++)
		answer->rss_config[i] = i % 4;
	memcpy(answer->rss_config + INDIRECTION, fake.key, key);
	answer->hfunc = fake.function;
	answer->rsvd8[0] = fake.transform;
	return 0;
}

static int fake_ethtool(uint32_t *command)
{
	struct ethtool_rxnfc *rxnfc = (struct ethtool_rxnfc *)command;

	switch (*command) {
	case ETHTOOL_GRSSH:
		return fake_get((struct ethtool_rxfh *)command);
	case ETHTOOL_SRSSH:
		return fake_set((struct ethtool_rxfh *)command);
	case ETHTOOL_GRXFH:
		if (rxnfc->flow_type != TCP_V4_FLOW || !fake.tcp4_fields)
			return EOPNOTSUPP;
		rxnfc->data = fake.tcp4_fields;
		return 0;
	}
	return EOPNOTSUPP;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;

	(void)fd;
	va_start(args, request);
	struct ifreq *ifreq = va_arg(args, struct ifreq *);
	va_end(args);
	assert_int_equal(request, SIOCETHTOOL);
	assert_string_equal(ifreq->ifr_name, "eth1");
	errno = fake_ethtool((uint32_t *)ifreq->ifr_data);
	return errno ? -1 : 0;
}

static void prepare_and_restore(const struct fake *kind)
{
	const struct nic_info info = {
		.name = "eth1", .rx_queues = 4, .rx_queues_max = 8, .queues_settable = true, .queues_combined = true
	};
	const struct nic_wishes wishes = { .symmetric_rss = true };
	struct nic *nic;

	fake = *kind;
	for (unsigned i = 0; i < sizeof(fake.key); i++)
		fake.key[i] = (uint8_t)(i * 37 + 11);
	fake.function = fake.old_kernel ? NIC_RSS_UNSAID : NIC_RSS_TOEPLITZ;
	struct fake before = fake;

	assert_int_equal(nic_prepare(&info, &wishes, &nic), 0);
	if (strcmp(nic_changes(nic), kind->changes) != 0)
		fail_msg("%s: '%s', not '%s'", kind->name, nic_changes(nic), kind->changes);
	assert_int_equal(nic_needs_admin(nic), *kind->changes != '\0');
	if (!*kind->changes)
		assert_memory_equal(fake.key, before.key, sizeof(fake.key));
	nic_restore(nic);
	assert_memory_equal(fake.key, before.key, sizeof(fake.key));
	assert_int_equal(fake.transform, before.transform);
	assert_int_equal(fake.function, before.function);
}

static void nic_prepare__when_rss_is_not_symmetric__then_it_becomes_so_if_the_nic_can_and_is_put_back(void **state)
{
	static const struct fake kinds[] = {
		{ .name = "like ice",
			.transforms = NIC_RSS_SYM_XOR,
			.key_settable = true,
			.key_bytes = 52,
			.changes = "RSS symmetric-xor" },
		{ .name = "like mlx5",
			.transforms = NIC_RSS_SYM_OR_XOR,
			.key_settable = true,
			.key_bytes = 40,
			.changes = "RSS symmetric-or-xor" },
		{ .name = "new kernel, key only", .key_settable = true, .key_bytes = 40, .changes = "RSS symmetric key" },
		{ .name = "old kernel", .old_kernel = true, .key_settable = true, .key_bytes = 40, .changes = "RSS symmetric key" },
		{ .name = "like igb", .key_bytes = 0, .changes = "" },
		{ .name = "key cannot be set", .key_bytes = 40, .changes = "" },
		{ .name = "fields of one side",
			.transforms = NIC_RSS_SYM_XOR,
			.key_settable = true,
			.key_bytes = 40,
			.tcp4_fields = RXH_IP_SRC,
			.changes = "" },
		{ .name = "not permitted",
			.transforms = NIC_RSS_SYM_XOR,
			.key_settable = true,
			.key_bytes = 40,
			.refuses = EPERM,
			.changes = "" },
		{ .name = "symmetric already",
			.transform = NIC_RSS_SYM_XOR,
			.transforms = NIC_RSS_SYM_XOR,
			.key_bytes = 40,
			.changes = "" },
	};

	(void)state;
	log_mute(true);
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		prepare_and_restore(&kinds[i]);
	log_mute(false);
}

static void nic_prepare__when_rss_is_symmetric_already__then_nothing_is_set(void **state)
{
	const struct nic_wishes wishes = { .symmetric_rss = true };
	struct nic_info info = { .name = "eth1", .rx_queues = 4 };
	struct nic *nic;

	(void)state;
	fake = (struct fake){ .key_settable = true, .key_bytes = 40, .function = NIC_RSS_TOEPLITZ };
	nic_rss_symmetric_key(fake.key, 40);
	assert_int_equal(nic_prepare(&info, &wishes, &nic), 0);
	nic_restore(nic);
	/* One queue: whatever the hash is. */
	memset(fake.key, 0x17, 20);
	info.rx_queues = 1;
	assert_int_equal(nic_prepare(&info, &wishes, &nic), 0);
	nic_restore(nic);
	assert_int_equal(fake.settings, 0);
}

static void nic_prepare__when_symmetric_rss_is_not_wanted__then_the_nic_keeps_its_own(void **state)
{
	const struct nic_wishes wishes = { .symmetric_rss = false };
	const struct nic_info info = { .name = "eth1", .rx_queues = 4 };
	struct nic *nic;

	(void)state;
	fake = (struct fake){ .key_settable = true, .key_bytes = 40, .function = NIC_RSS_TOEPLITZ, .transforms = NIC_RSS_SYM_XOR };
	memset(fake.key, 0x17, 20);
	log_mute(true);
	assert_int_equal(nic_prepare(&info, &wishes, &nic), 0);
	log_mute(false);
	assert_string_equal(nic_changes(nic), "");
	assert_false(nic_needs_admin(nic));
	nic_restore(nic);
	assert_int_equal(fake.settings, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nic_prepare__when_rss_is_not_symmetric__then_it_becomes_so_if_the_nic_can_and_is_put_back),
		cmocka_unit_test(nic_prepare__when_rss_is_symmetric_already__then_nothing_is_set),
		cmocka_unit_test(nic_prepare__when_symmetric_rss_is_not_wanted__then_the_nic_keeps_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
