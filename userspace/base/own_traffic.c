#include "own_traffic.h"

#include <string.h>

#include "bytes.h"

#include "poison.h"

#define TCP          6
#define MAC_BYTES    12
#define TAGS_MAX     2
#define TPID_VLAN    0x8100
#define TPID_QINQ    0x88a8
#define TYPE_IPV4    0x0800
#define TYPE_IPV6    0x86dd
#define NO_TRAFFIC   ((uint32_t)0)
#define MAPPED_BYTES 12

uint32_t own_traffic_version = NO_TRAFFIC;
static struct own_connection own_connection;
static bool own_is_set;

/* A sequence lock: the version is odd while the connection is written, and readers look again. */
void own_traffic_set(const struct own_connection *connection)
{
	uint32_t version = __atomic_load_n(&own_traffic_version, __ATOMIC_RELAXED);

	__atomic_store_n(&own_traffic_version, version + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	own_is_set = connection != NULL;
	if (connection)
		own_connection = *connection;
	__atomic_store_n(&own_traffic_version, version + 2, __ATOMIC_RELEASE);
}

bool own_traffic_refresh(struct own_view *view)
{
	uint32_t version = __atomic_load_n(&own_traffic_version, __ATOMIC_ACQUIRE);
	struct own_connection copy;
	bool is_set;

	memcpy(&copy, &own_connection, sizeof(copy));
	is_set = own_is_set;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	/* Changed meanwhile: the old copy serves this batch, the next one looks again. */
	if (version & 1 || version != __atomic_load_n(&own_traffic_version, __ATOMIC_RELAXED))
		return view->version != 0 && view->connection.remote_port != 0;
	view->version = version;
	view->connection = copy;
	if (!is_set)
		view->connection.remote_port = 0;
	return is_set;
}

bool own_traffic_view(struct own_view *view)
{
	if (__builtin_expect(__atomic_load_n(&own_traffic_version, __ATOMIC_RELAXED) != view->version, 0))
		return own_traffic_refresh(view);
	return view->version != 0 && view->connection.remote_port != 0;
}

static bool same_ip(const uint8_t own[16], const uint8_t *ip, uint32_t length)
{
	static const uint8_t mapped[MAPPED_BYTES] = { [10] = 0xff, [11] = 0xff };

	if (length == 16)
		return !memcmp(own, ip, 16);
	return !memcmp(own + MAPPED_BYTES, ip, 4) && !memcmp(own, mapped, MAPPED_BYTES);
}

/* ip: both addresses, source first, `length` bytes each; tcp: the ports. */
static bool match_connection(const struct own_connection *own, const uint8_t *ip, uint32_t length, const uint8_t *tcp)
{
	uint16_t from = load_be16(tcp), to = load_be16(tcp + 2);

	if (to == own->remote_port && (from == own->local_port || !own->local_port))
		return same_ip(own->local_ip, ip, length) && same_ip(own->remote_ip, ip + length, length);
	if (from == own->remote_port && (to == own->local_port || !own->local_port))
		return same_ip(own->remote_ip, ip, length) && same_ip(own->local_ip, ip + length, length);
	return false;
}

bool own_traffic_match(const struct own_view *view, const uint8_t *data, uint32_t cap_len)
{
	const struct own_connection *own = &view->connection;
	uint32_t at = MAC_BYTES;

	for (unsigned tags = 0; tags <= TAGS_MAX && cap_len >= at + 2; tags++, at += 4) {
		uint16_t type = load_be16(data + at);
		const uint8_t *ip = data + at + 2;
		uint32_t left = cap_len - at - 2;
		if (type == TPID_VLAN || type == TPID_QINQ)
			continue;
		if (type == TYPE_IPV4 && left >= 24 && ip[9] == TCP && !(load_be16(ip + 6) & 0x1fff)) {
			uint32_t header = (ip[0] & 0xfu) * 4;
			return left >= header + 4 && match_connection(own, ip + 12, 4, ip + header);
		}
		if (type == TYPE_IPV6 && left >= 44 && ip[6] == TCP)
			return match_connection(own, ip + 8, 16, ip + 40);
		return false;
	}
	return false;
}
