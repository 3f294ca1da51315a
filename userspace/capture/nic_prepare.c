#include "nic.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_packet.h>

#include "log.h"
#include "nic_ethtool.h"

struct nic {
	char name[IF_NAMESIZE];
	int promiscuous_fd; /* holds the membership: the kernel ends it with the process, however that ends; -1: none */
	int fd;             /* to set things by; stays in the namespace that it was opened in */
	struct {
		bool changed, wanted; /* as it was asked for before */
	} features[NIC_FEATURES];
	bool rss_changed;
	struct nic_rss rss; /* as it was */
	char changes[256];
};

static void changes_add(struct nic *nic, const char *format, ...)
{
	size_t used = strlen(nic->changes);
	va_list args;

	if (used)
		used += (size_t)snprintf(nic->changes + used, sizeof(nic->changes) - used, ", ");
	if (used >= sizeof(nic->changes))
		return;
	va_start(args, format);
	vsnprintf(nic->changes + used, sizeof(nic->changes) - used, format, args);
	va_end(args);
}

/* Bound to no protocol: it holds the membership, and receives nothing. */
static int promiscuous_hold(unsigned ifindex)
{
	struct packet_mreq membership = { .mr_ifindex = (int)ifindex, .mr_type = PACKET_MR_PROMISC };

	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof(membership)) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

/* Held also if it is on already: who switched it on may end before we do. */
static int prepare_promiscuous(struct nic *nic, const struct nic_info *info)
{
	int fd = promiscuous_hold(info->ifindex);

	if (fd == -ENODEV)
		return fd;
	if (fd < 0) {
		log_warning(
			"%s: cannot switch on promiscuous mode: %s; only frames to this machine's own address will be seen; run, "
			"as root: ip link set dev %s promisc on",
			nic->name, strerror(-fd), nic->name);
		return 0;
	}
	nic->promiscuous_fd = fd;
	if (!info->promiscuous) {
		log_info("%s: promiscuous mode on, until the end", nic->name);
		changes_add(nic, "promiscuous mode on");
	}
	return 0;
}

static int feature_is_on(struct nic *nic, enum nic_feature_id id, bool *on)
{
	struct nic_feature features[NIC_FEATURES];

	int error = nic_ethtool_features(nic->fd, nic->name, features);
	if (!error)
		*on = features[id].on;
	return error;
}

static int prepare_feature_off(struct nic *nic, const struct nic_feature *feature, enum nic_feature_id id, const char *harm)
{
	bool still_on = true;

	if (!feature->known || !feature->on)
		return 0;
	if (!feature->changeable) {
		log_warning(
			"%s: %s is on, and the driver does not let it be switched off: %s", nic->name, nic_feature_short[id], harm);
		return 0;
	}
	int error = nic_ethtool_set_feature(nic->fd, nic->name, feature, false);
	if (error == -ENODEV)
		return error;
	if (!error) {
		nic->features[id].changed = true;
		nic->features[id].wanted = feature->wanted;
		error = feature_is_on(nic, id, &still_on);
	}
	if (error || still_on) {
		log_warning("%s: %s is on and cannot be switched off: %s: %s; run, as root: ethtool -K %s %s off", nic->name,
			nic_feature_short[id], error ? strerror(-error) : "the driver did not do it", harm, nic->name,
			nic_feature_short[id]);
		return 0;
	}
	log_info("%s: %s off, until the end", nic->name, nic_feature_short[id]);
	changes_add(nic, "%s off", nic_feature_short[id]);
	return 0;
}

static int prepare_features(struct nic *nic, const struct nic_wishes *wishes)
{
	static const char *const harm[NIC_FEATURES] = {
		[NIC_FEATURE_LRO] = "several packets arrive as one",
		[NIC_FEATURE_HW_GRO] = "several packets arrive as one",
		[NIC_FEATURE_VLAN_STRIP] = "VLAN tags are missing from the frames",
		[NIC_FEATURE_STAG_STRIP] = "outer VLAN tags are missing from the frames",
	};
	const bool off[NIC_FEATURES] = { [NIC_FEATURE_LRO] = wishes->no_lro,
		[NIC_FEATURE_HW_GRO] = wishes->no_hw_gro,
		[NIC_FEATURE_VLAN_STRIP] = wishes->no_rx_vlan_strip,
		[NIC_FEATURE_STAG_STRIP] = wishes->no_rx_vlan_strip };
	struct nic_feature features[NIC_FEATURES];

	int error = nic_ethtool_features(nic->fd, nic->name, features);
	if (error == -EOPNOTSUPP)
		return 0;
	for (unsigned id = 0; !error && id < NIC_FEATURES; id++) {
		if (off[id])
			error = prepare_feature_off(nic, &features[id], id, harm[id]);
	}
	/* Not changed by us: most drivers lift the filter in promiscuous mode anyway, and reset the port to change it. */
	const struct nic_feature *filter = &features[NIC_FEATURE_VLAN_FILTER];
	if (!error && wishes->promiscuous && filter->on && filter->changeable)
		log_warning("%s: rx-vlan-filter is on: some NICs drop frames of VLANs that are not configured here, even in "
			    "promiscuous "
			    "mode; if VLANs are missing, run, as root: ethtool -K %s rx-vlan-filter off",
			nic->name, nic->name);
	return error;
}

/* 0: the NIC took it, by what it says afterwards. */
static int rss_try(struct nic *nic, const struct nic_rss *wish)
{
	char text[96];
	struct nic_rss now;

	int error = nic_ethtool_set_rss(nic->fd, nic->name, wish);
	if (error)
		return error;
	nic->rss_changed = true;
	error = nic_ethtool_rss(nic->fd, nic->name, &now);
	if (error)
		return error;
	return nic_rss_judge(&now, text, sizeof(text)) == NIC_RSS_SYMMETRIC ? 0 : -EOPNOTSUPP;
}

/* The transforms first: they keep a random key, so that nobody outside can foresee the spread. */
static int rss_make_symmetric(struct nic *nic, const char **how)
{
	struct nic_rss wish = nic->rss;

	*how = "symmetric-xor";
	wish.transform = NIC_RSS_SYM_XOR;
	int error = rss_try(nic, &wish);
	if (!error || error == -EPERM || error == -ENODEV)
		return error;
	*how = "symmetric-or-xor";
	wish.transform = NIC_RSS_SYM_OR_XOR;
	if (!rss_try(nic, &wish))
		return 0;
	*how = "symmetric key";
	wish = nic->rss;
	if (!wish.key_bytes || wish.function == NIC_RSS_CRC32)
		return -EOPNOTSUPP;
	nic_rss_symmetric_key(wish.key, wish.key_bytes);
	return rss_try(nic, &wish);
}

/* What was tried and refused is not recommended. */
static void warn_rss(const struct nic_info *info, const char *why, int error)
{
	const char *reason = error == -ECANCELED ? "not wanted" : strerror(-error);
	char command[160];

	if (error == -EPERM)
		snprintf(command, sizeof(command), "ethtool -X %s hfunc toeplitz symmetric-xor", info->name);
	else
		nic_queues_command(info, 1, "", command, sizeof(command));
	log_warning("%s: the two directions of a flow may come to different lanes, and then make two flows (RSS: %s; changing it: "
		    "%s)%s%s%s",
		info->name, why, reason, *command ? "; run, as root: " : "", command,
		error != -EPERM && *command ? ", and start flowlane with --fanout N for N lanes" : "");
}

/* wanted: it may be changed. Where it is not symmetric that is said in any case. */
static void prepare_rss(struct nic *nic, const struct nic_info *info, bool wanted)
{
	const char *how;
	char why[96];

	if (info->rx_queues <= 1)
		return;
	int error = nic_ethtool_rss(nic->fd, nic->name, &nic->rss);
	if (error) {
		warn_rss(info, info->rss_text, error);
		return;
	}
	if (nic_rss_judge(&nic->rss, why, sizeof(why)) == NIC_RSS_SYMMETRIC)
		return;
	error = wanted ? rss_make_symmetric(nic, &how) : -ECANCELED;
	if (!error) {
		log_info("%s: RSS made symmetric (%s), until the end", nic->name, how);
		changes_add(nic, "RSS %s", how);
		return;
	}
	if (nic->rss_changed && !nic_ethtool_set_rss(nic->fd, nic->name, &nic->rss))
		nic->rss_changed = false;
	warn_rss(info, why, error);
}

int nic_prepare(const struct nic_info *info, const struct nic_wishes *wishes, struct nic **result)
{
	struct nic *nic = calloc(1, sizeof(*nic));
	int error = 0;

	if (!nic)
		return -ENOMEM;
	memcpy(nic->name, info->name, sizeof(nic->name));
	nic->promiscuous_fd = -1;
	nic->fd = nic_ethtool_open();
	if (nic->fd < 0)
		error = nic->fd;
	if (!error && wishes->promiscuous)
		error = prepare_promiscuous(nic, info);
	if (!error)
		error = prepare_features(nic, wishes);
	if (error) {
		nic_restore(nic);
		return error;
	}
	prepare_rss(nic, info, wishes->symmetric_rss);
	*result = nic;
	return 0;
}

const char *nic_changes(const struct nic *nic)
{
	return nic->changes;
}

bool nic_needs_admin(const struct nic *nic)
{
	bool needs = nic->rss_changed;

	for (unsigned id = 0; id < NIC_FEATURES; id++)
		needs |= nic->features[id].changed;
	return needs;
}

static void restore_feature(struct nic *nic, const struct nic_feature *feature, enum nic_feature_id id)
{
	const char *state = nic->features[id].wanted ? "on" : "off";

	int error = nic_ethtool_set_feature(nic->fd, nic->name, feature, nic->features[id].wanted);
	if (!error)
		log_info("%s: %s %s again", nic->name, nic_feature_short[id], state);
	else if (error != -ENODEV)
		log_warning("%s: cannot put %s back: %s; run, as root: ethtool -K %s %s %s", nic->name, nic_feature_short[id],
			strerror(-error), nic->name, nic_feature_short[id], state);
}

static void restore_rss(struct nic *nic)
{
	int error = nic_ethtool_set_rss(nic->fd, nic->name, &nic->rss);

	if (!error)
		log_info("%s: RSS as before again", nic->name);
	else if (error != -ENODEV)
		log_warning(
			"%s: cannot put RSS back: %s; run, as root: ethtool -X %s default", nic->name, strerror(-error), nic->name);
}

/* Of an interface that went away nothing is left to restore, and nothing is said. */
void nic_restore(struct nic *nic)
{
	struct nic_feature features[NIC_FEATURES];

	if (!nic)
		return;
	if (nic->rss_changed)
		restore_rss(nic);
	if (nic->fd >= 0 && !nic_ethtool_features(nic->fd, nic->name, features)) {
		for (unsigned id = 0; id < NIC_FEATURES; id++) {
			if (nic->features[id].changed)
				restore_feature(nic, &features[id], id);
		}
	}
	if (nic->promiscuous_fd >= 0)
		close(nic->promiscuous_fd);
	if (nic->fd >= 0)
		close(nic->fd);
	free(nic);
}
