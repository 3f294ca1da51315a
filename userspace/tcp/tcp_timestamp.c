#include "tcp_timestamp.h"

#include "bytes.h"
#include "rtt.h"

#include "poison.h"

enum { TCP_OPTION_END = 0, TCP_OPTION_NOP = 1, TCP_OPTION_TIMESTAMP = 8, TCP_OPTION_TIMESTAMP_BYTES = 10 };

#define TCP_HEADER_BYTES 20

/* The timestamp option, if it was captured. */
static bool tcp_timestamp_find(const struct packet *packet, uint32_t *value, uint32_t *echo)
{
	const uint8_t *option = packet->frame->data + packet->l4_off + TCP_HEADER_BYTES;
	const uint8_t *end = packet->frame->data + packet->payload_off;

	while (end - option >= TCP_OPTION_TIMESTAMP_BYTES) {
		if (*option == TCP_OPTION_NOP) {
			option++;
			continue;
		}
		if (*option == TCP_OPTION_END || option[1] < 2)
			return false;
		if (option[0] == TCP_OPTION_TIMESTAMP && option[1] == TCP_OPTION_TIMESTAMP_BYTES) {
			*value = load_be32(option + 2);
			*echo = load_be32(option + 6);
			return true;
		}
		if (option[1] > end - option)
			return false;
		option += option[1];
	}
	return false;
}

void tcp_timestamp_sent(struct tcp_flow *tcp, const struct packet *packet, uint32_t tick)
{
	struct tcp_cold *cold = tcp_cold(tcp);
	unsigned dir = packet->dir;
	uint32_t value, echo;

	if (tcp->bits & TCPF_TS_TIMED << dir || !tcp_timestamp_find(packet, &value, &echo))
		return;
	if (!(tcp->bits & TCPF_TS_FLOOR << dir)) {
		tcp->bits |= (uint8_t)(TCPF_TS_FLOOR << dir);
		cold->ts_value[dir] = value;
	} else if ((int32_t)(value - cold->ts_value[dir]) > 0 && !packet->payload_len) {
		cold->ts_value[dir] = value; /* an empty segment is not answered: it may not be the first to carry a timed value */
	} else if ((int32_t)(value - cold->ts_value[dir]) > 0) {
		tcp->bits = (uint8_t)((tcp->bits & ~(TCPF_TS_FLOOR << dir)) | TCPF_TS_TIMED << dir);
		cold->ts_value[dir] = value;
		cold->ts_tick[dir] = tick;
	}
}

bool tcp_timestamp_echoed(struct tcp_flow *tcp, const struct packet *packet, uint32_t tick, uint32_t *ticks)
{
	struct tcp_cold *cold = tcp_cold(tcp);
	unsigned sender = !packet->dir;
	uint32_t value, echo;

	if (!tcp_timestamp_find(packet, &value, &echo))
		return false;
	int32_t ahead = (int32_t)(echo - cold->ts_value[sender]);
	if (ahead < 0)
		return false;
	tcp->bits &= (uint8_t) ~(TCPF_TS_TIMED << sender);
	*ticks = tick - cold->ts_tick[sender];
	return ahead == 0 && *ticks <= RTT_MAX_TICKS;
}
