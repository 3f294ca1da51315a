#include "nic_ethtool.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/ethtool.h>
#include <linux/netlink.h>
#include <linux/sockios.h>

#define STRINGS_MAX     4096                /* there are about 70 features */
#define FIELDS_DISCARD  (UINT64_C(1) << 31) /* RXH_DISCARD, which the header shifts into the sign of an int */
#define INDIRECTION_MAX 65536
#define LINK_MASK_WORDS 128 /* of each of three masks */

const char *const nic_feature_short[NIC_FEATURES] = { "lro", "rx-gro-hw", "rxvlan", "rx-vlan-stag-hw-parse", "rx-vlan-filter" };
const char *const nic_feature_names[NIC_FEATURES] = { "rx-lro", "rx-gro-hw", "rx-vlan-hw-parse", "rx-vlan-stag-hw-parse",
	"rx-vlan-filter" };

int nic_ethtool_open(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0) /* a system without IPv4; netlink is always there */
		fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	return fd < 0 ? -errno : fd;
}

static int ethtool_call(int fd, const char *name, void *command)
{
	struct ifreq request = { .ifr_data = command };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	return ioctl(fd, SIOCETHTOOL, &request) < 0 ? -errno : 0;
}

int nic_ethtool_driver(int fd, const char *name, struct nic_driver *driver)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };

	int error = ethtool_call(fd, name, &info);
	if (error)
		return error;
	snprintf(driver->name, sizeof(driver->name), "%.31s", info.driver);
	snprintf(driver->version, sizeof(driver->version), "%.31s", info.version);
	snprintf(driver->bus, sizeof(driver->bus), "%.31s", info.bus_info);
	snprintf(driver->firmware, sizeof(driver->firmware), "%.31s", info.fw_version);
	return 0;
}

int nic_ethtool_speed(int fd, const char *name, unsigned *speed_mbps)
{
	union {
		struct ethtool_link_settings settings;
		uint8_t room[sizeof(struct ethtool_link_settings) + 3 * LINK_MASK_WORDS * sizeof(uint32_t)];
	} link = { .settings.cmd = ETHTOOL_GLINKSETTINGS };

	/* The first call only says how long the masks are, as a negative number. */
	int error = ethtool_call(fd, name, &link);
	if (error)
		return error;
	int words = link.settings.link_mode_masks_nwords;
	if (words >= 0)
		return -EOPNOTSUPP;
	memset(&link, 0, sizeof(link));
	link.settings.cmd = ETHTOOL_GLINKSETTINGS;
	link.settings.link_mode_masks_nwords = (int8_t)-words;
	error = ethtool_call(fd, name, &link);
	if (error)
		return error;
	*speed_mbps = link.settings.speed == (uint32_t)SPEED_UNKNOWN ? 0 : link.settings.speed;
	return 0;
}

int nic_ethtool_channels(int fd, const char *name, struct nic_channels *channels)
{
	struct ethtool_channels answer = { .cmd = ETHTOOL_GCHANNELS };

	int error = ethtool_call(fd, name, &answer);
	if (error)
		return error;
	*channels = (struct nic_channels){ .combined = answer.combined_count,
		.combined_max = answer.max_combined,
		.rx = answer.rx_count,
		.rx_max = answer.max_rx };
	return 0;
}

int nic_ethtool_rings(int fd, const char *name, unsigned *rx, unsigned *rx_max)
{
	struct ethtool_ringparam answer = { .cmd = ETHTOOL_GRINGPARAM };

	int error = ethtool_call(fd, name, &answer);
	if (error)
		return error;
	*rx = answer.rx_pending;
	*rx_max = answer.rx_max_pending;
	return 0;
}

int nic_ethtool_hash_queues(int fd, const char *name, unsigned *queues)
{
	struct ethtool_rxnfc answer = { .cmd = ETHTOOL_GRXRINGS };

	int error = ethtool_call(fd, name, &answer);
	if (error)
		return error;
	*queues = (unsigned)answer.data;
	return 0;
}

static int features_count(int fd, const char *name, uint32_t *count)
{
	union {
		struct ethtool_sset_info info;
		uint8_t room[sizeof(struct ethtool_sset_info) + sizeof(uint32_t)]; /* one set is asked for */
	} answer = { .info = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << ETH_SS_FEATURES } };

	int error = ethtool_call(fd, name, &answer);
	if (error)
		return error;
	*count = answer.info.sset_mask ? answer.info.data[0] : 0;
	return *count && *count <= STRINGS_MAX ? 0 : -EOPNOTSUPP;
}

/* Which bit is which differs between kernels: they are found by their names. */
static int features_find(int fd, const char *name, uint32_t count, struct nic_feature features[NIC_FEATURES])
{
	struct ethtool_gstrings *strings = calloc(1, sizeof(*strings) + (size_t)count * ETH_GSTRING_LEN);

	if (!strings)
		return -ENOMEM;
	strings->cmd = ETHTOOL_GSTRINGS;
	strings->string_set = ETH_SS_FEATURES;
	strings->len = count;
	int error = ethtool_call(fd, name, strings);
	for (uint32_t i = 0; !error && i < count; i++) {
		for (unsigned id = 0; id < NIC_FEATURES; id++) {
			if (strncmp((char *)strings->data + i * ETH_GSTRING_LEN, nic_feature_names[id], ETH_GSTRING_LEN) == 0)
				features[id] = (struct nic_feature){ .known = true, .bit = i };
		}
	}
	free(strings);
	return error;
}

static bool bit_of(uint32_t word, unsigned bit)
{
	return word >> bit % 32 & 1;
}

int nic_ethtool_features(int fd, const char *name, struct nic_feature features[NIC_FEATURES])
{
	struct ethtool_gfeatures *state = NULL;
	uint32_t count = 0;

	memset(features, 0, NIC_FEATURES * sizeof(*features));
	int error = features_count(fd, name, &count);
	if (!error)
		error = features_find(fd, name, count, features);
	if (error)
		return error;
	uint32_t words = (count + 31) / 32;
	state = calloc(1, sizeof(*state) + words * sizeof(state->features[0]));
	if (!state)
		return -ENOMEM;
	state->cmd = ETHTOOL_GFEATURES;
	state->size = words;
	error = ethtool_call(fd, name, state);
	for (unsigned id = 0; !error && id < NIC_FEATURES; id++) {
		struct nic_feature *feature = &features[id];
		const struct ethtool_get_features_block *block = &state->features[feature->bit / 32];

		if (!feature->known)
			continue;
		feature->changeable = bit_of(block->available & ~block->never_changed, feature->bit);
		feature->wanted = bit_of(block->requested, feature->bit);
		feature->on = bit_of(block->active, feature->bit);
	}
	free(state);
	return error;
}

int nic_ethtool_set_feature(int fd, const char *name, const struct nic_feature *feature, bool on)
{
	uint32_t count = 0;

	int error = features_count(fd, name, &count);
	if (error)
		return error;
	uint32_t words = (count + 31) / 32;
	struct ethtool_sfeatures *wish = calloc(1, sizeof(*wish) + words * sizeof(wish->features[0]));
	if (!wish)
		return -ENOMEM;
	wish->cmd = ETHTOOL_SFEATURES;
	wish->size = words;
	wish->features[feature->bit / 32].valid = 1u << feature->bit % 32;
	wish->features[feature->bit / 32].requested = on ? 1u << feature->bit % 32 : 0;
	error = ethtool_call(fd, name, wish);
	free(wish);
	return error;
}

/* The header as of kernel 6.8, where a reserved byte became the input transform. */
#define RXFH_TRANSFORM(rxfh) ((rxfh)->rsvd8[0])

static void rss_read_fields(int fd, const char *name, struct nic_rss *rss)
{
	static const uint32_t flow_types[NIC_RSS_FLOWS] = { TCP_V4_FLOW, UDP_V4_FLOW, TCP_V6_FLOW, UDP_V6_FLOW };

	for (unsigned i = 0; i < NIC_RSS_FLOWS; i++) {
		struct ethtool_rxnfc answer = { .cmd = ETHTOOL_GRXFH, .flow_type = flow_types[i] };

		rss->fields_known[i] = ethtool_call(fd, name, &answer) == 0;
		rss->fields[i] = answer.data & ~FIELDS_DISCARD;
	}
}

int nic_ethtool_rss(int fd, const char *name, struct nic_rss *rss)
{
	struct ethtool_rxfh sizes = { .cmd = ETHTOOL_GRSSH };

	int error = ethtool_call(fd, name, &sizes);
	if (error)
		return error;
	if (sizes.indir_size > INDIRECTION_MAX || sizes.key_size > NIC_RSS_KEY_MAX)
		return -E2BIG;
	size_t bytes = sizeof(sizes) + sizes.indir_size * sizeof(uint32_t) + sizes.key_size;
	struct ethtool_rxfh *state = calloc(1, bytes);
	if (!state)
		return -ENOMEM;
	*state = (struct ethtool_rxfh){ .cmd = ETHTOOL_GRSSH, .indir_size = sizes.indir_size, .key_size = sizes.key_size };
	error = ethtool_call(fd, name, state);
	if (!error) {
		*rss = (struct nic_rss){
			.function = state->hfunc, .transform = RXFH_TRANSFORM(state), .key_bytes = sizes.key_size
		};
		memcpy(rss->key, (uint8_t *)(state->rss_config + sizes.indir_size), sizes.key_size);
		rss->one_queue = sizes.indir_size > 0;
		for (uint32_t i = 1; i < sizes.indir_size; i++)
			rss->one_queue &= state->rss_config[i] == state->rss_config[0];
		rss_read_fields(fd, name, rss);
	}
	free(state);
	return error;
}

int nic_ethtool_set_rss(int fd, const char *name, const struct nic_rss *rss)
{
	union {
		struct ethtool_rxfh header;
		uint8_t room[sizeof(struct ethtool_rxfh) + NIC_RSS_KEY_MAX];
	} wish = { .header = { .cmd = ETHTOOL_SRSSH, .indir_size = ETH_RXFH_INDIR_NO_CHANGE, .key_size = rss->key_bytes } };

	wish.header.hfunc = (uint8_t)rss->function;
	RXFH_TRANSFORM(&wish.header) = rss->transform;
	memcpy(wish.room + sizeof(wish.header), rss->key, rss->key_bytes);
	return ethtool_call(fd, name, &wish);
}
