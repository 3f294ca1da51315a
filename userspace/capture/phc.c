#include "phc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/net_tstamp.h>
#include <linux/ptp_clock.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define NS_PER_S 1000000000
#define READINGS 5

static int ask(int fd, unsigned long what, const char *interface, void *answer)
{
	struct ifreq request = { .ifr_data = answer };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	return ioctl(fd, what, &request) ? -errno : 0;
}

/* The number of its clock, if every received frame is stamped by it. */
static int phc_number(int fd, const char *interface)
{
	struct ethtool_ts_info info = { .cmd = ETHTOOL_GET_TS_INFO };
	struct hwtstamp_config config = { 0 };

	int err = ask(fd, SIOCETHTOOL, interface, &info);
	if (!err && info.phc_index < 0)
		err = -ENODEV;
	if (!err)
		err = ask(fd, SIOCGHWTSTAMP, interface, &config);
	if (!err && config.rx_filter != HWTSTAMP_FILTER_ALL)
		err = -ENODATA;
	return err ? err : info.phc_index;
}

int phc_open(const char *interface)
{
	char path[32];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	int number = phc_number(fd, interface);
	close(fd);
	if (number < 0)
		return number;
	snprintf(path, sizeof(path), "/dev/ptp%d", number);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int64_t clock_ns(const struct ptp_clock_time *time)
{
	return time->sec * NS_PER_S + time->nsec;
}

/* Each reading of the NIC's clock stands between two of the system's; the closest pair is the best. */
int phc_measure(int fd, int64_t *offset_ns)
{
	struct ptp_sys_offset_extended readings = { .n_samples = READINGS };
	int64_t best_ns = INT64_MAX;

	if (ioctl(fd, PTP_SYS_OFFSET_EXTENDED, &readings))
		return -errno;
	for (unsigned i = 0; i < READINGS; i++) {
		int64_t before_ns = clock_ns(&readings.ts[i][0]), after_ns = clock_ns(&readings.ts[i][2]);
		if (after_ns - before_ns >= best_ns)
			continue;
		best_ns = after_ns - before_ns;
		*offset_ns = before_ns + best_ns / 2 - clock_ns(&readings.ts[i][1]);
	}
	return 0;
}
