#include "traffic.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>

#include "bytes.h"

void traffic_die(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

struct endpoint endpoint_make(const char *ip, uint16_t port)
{
	struct endpoint e = { .port = port };

	e.version = strchr(ip, ':') ? 6 : 4;
	if (inet_pton(e.version == 6 ? AF_INET6 : AF_INET, ip, e.ip) != 1)
		traffic_die("'%s' is not an IP address", ip);
	return e;
}

static uint32_t endpoint_ip_len(const struct endpoint *e)
{
	return e->version == 6 ? 16 : 4;
}

static void endpoint_mac(const struct endpoint *e, uint8_t mac[6])
{
	mac[0] = 0x02; /* locally administered */
	mac[1] = e->version;
	memcpy(mac + 2, e->ip + endpoint_ip_len(e) - 4, 4);
}

uint32_t checksum_add(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += load_be16(p + i);
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	return sum;
}

uint16_t checksum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

void frame_start(struct frame_builder *f, const void *payload, uint32_t len)
{
	uint32_t i;

	if (len > TRAFFIC_FRAME_MAX - 256)
		traffic_die("a payload of %u bytes does not fit into a frame", len);
	f->end = TRAFFIC_FRAME_MAX - 64; /* room behind for the padding of short frames */
	f->start = f->end - len;
	if (payload)
		memcpy(f->bytes + f->start, payload, len);
	else
		for (i = 0; i < len; i++)
			f->bytes[f->start + i] = (uint8_t)('a' + i % 26);
}

static uint8_t *frame_push(struct frame_builder *f, uint32_t len)
{
	if (f->start < len)
		traffic_die("the headers of a frame do not fit in front of its payload");
	f->start -= len;
	return memset(f->bytes + f->start, 0, len);
}

/* The pseudo header is the same sum for both IP versions: addresses, protocol, length. */
static uint16_t frame_l4_checksum(
	const struct frame_builder *f, const struct endpoint *src, const struct endpoint *dst, uint8_t protocol)
{
	uint32_t sum = protocol + frame_len(f);

	sum = checksum_add(sum, src->ip, endpoint_ip_len(src));
	sum = checksum_add(sum, dst->ip, endpoint_ip_len(dst));
	return checksum_fold(checksum_add(sum, frame_bytes(f), frame_len(f)));
}

void frame_push_tcp(struct frame_builder *f, const struct endpoint *src, const struct endpoint *dst, const struct tcp_header *tcp)
{
	uint32_t header = 20u + tcp->options_len;
	uint8_t *p = frame_push(f, header);

	store_be16(p, src->port);
	store_be16(p + 2, dst->port);
	store_be32(p + 4, tcp->seq);
	store_be32(p + 8, tcp->ack);
	p[12] = (uint8_t)(header / 4 << 4);
	p[13] = tcp->flags;
	store_be16(p + 14, tcp->window);
	memcpy(p + 20, tcp->options, tcp->options_len);
	store_be16(p + 16, frame_l4_checksum(f, src, dst, TRAFFIC_TCP));
}

void frame_push_udp(struct frame_builder *f, const struct endpoint *src, const struct endpoint *dst)
{
	uint8_t *p = frame_push(f, 8);
	uint16_t sum;

	store_be16(p, src->port);
	store_be16(p + 2, dst->port);
	store_be16(p + 4, (uint16_t)frame_len(f));
	sum = frame_l4_checksum(f, src, dst, TRAFFIC_UDP);
	store_be16(p + 6, sum ? sum : 0xffff); /* 0 would mean: no checksum (RFC 768) */
}

void frame_push_icmp(
	struct frame_builder *f, const struct endpoint *src, const struct endpoint *dst, uint8_t type, uint8_t code, uint32_t word)
{
	uint8_t *p = frame_push(f, 8);

	p[0] = type;
	p[1] = code;
	store_be32(p + 4, word);
	if (src->version == 6) /* only ICMPv6 has a pseudo header (RFC 4443 section 2.3) */
		store_be16(p + 2, frame_l4_checksum(f, src, dst, TRAFFIC_ICMP6));
	else
		store_be16(p + 2, checksum_fold(checksum_add(0, p, frame_len(f))));
}

static void frame_push_ipv4(struct frame_builder *f, const struct endpoint *src, const struct endpoint *dst, uint8_t protocol,
	uint32_t ident, const struct ip_fragment *fragment)
{
	uint8_t *p = frame_push(f, 20);

	p[0] = 0x45;
	store_be16(p + 2, (uint16_t)frame_len(f));
	store_be16(p + 4, (uint16_t)ident);
	if (fragment)
		store_be16(p + 6, (uint16_t)(fragment->offset / 8 | (fragment->more ? 0x2000 : 0)));
	else
		store_be16(p + 6, 0x4000); /* do not fragment */
	p[8] = 64;
	p[9] = protocol;
	memcpy(p + 12, src->ip, 4);
	memcpy(p + 16, dst->ip, 4);
	store_be16(p + 10, checksum_fold(checksum_add(0, p, 20)));
}

static void frame_push_ipv6(struct frame_builder *f, const struct endpoint *src, const struct endpoint *dst, uint8_t protocol,
	uint32_t ident, const struct ip_fragment *fragment)
{
	uint8_t *p;

	if (fragment) {
		p = frame_push(f, 8);
		p[0] = protocol;
		store_be16(p + 2, (uint16_t)(fragment->offset | fragment->more));
		store_be32(p + 4, ident);
		protocol = TRAFFIC_FRAGMENT6;
	}
	p = frame_push(f, 40);
	p[0] = 0x60;
	store_be16(p + 4, (uint16_t)(frame_len(f) - 40));
	p[6] = protocol;
	p[7] = 64;
	memcpy(p + 8, src->ip, 16);
	memcpy(p + 24, dst->ip, 16);
}

void frame_push_ip(struct frame_builder *f, const struct endpoint *src, const struct endpoint *dst, uint8_t protocol,
	uint32_t ident, const struct ip_fragment *fragment)
{
	if (src->version == 6)
		frame_push_ipv6(f, src, dst, protocol, ident, fragment);
	else
		frame_push_ipv4(f, src, dst, protocol, ident, fragment);
}

void frame_push_gre(struct frame_builder *f, uint16_t ethertype)
{
	store_be16(frame_push(f, 4) + 2, ethertype);
}

void frame_push_vxlan(struct frame_builder *f, uint32_t vni)
{
	uint8_t *p = frame_push(f, 8);

	p[0] = 0x08; /* the VNI is valid (RFC 7348) */
	store_be32(p + 4, vni << 8);
}

void frame_push_type(struct frame_builder *f, uint16_t ethertype)
{
	store_be16(frame_push(f, 2), ethertype);
}

void frame_push_tag(struct frame_builder *f, uint16_t tpid, uint16_t tci)
{
	uint8_t *p = frame_push(f, 4);

	store_be16(p, tpid);
	store_be16(p + 2, tci);
}

void frame_push_ethernet(struct frame_builder *f, const struct endpoint *src, const struct endpoint *dst)
{
	uint8_t *p = frame_push(f, 12);

	if (dst)
		endpoint_mac(dst, p);
	else
		memset(p, 0xff, 6);
	endpoint_mac(src, p + 6);
	if (frame_len(f) < 60) {
		memset(f->bytes + f->end, 0, 60 - frame_len(f));
		f->end = f->start + 60;
	}
}

uint32_t dns_message(uint8_t *out, uint16_t id, const char *name, const uint8_t *address)
{
	static const uint8_t answer[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4 }; /* the name at byte 12, A, IN, 60 s, 4 bytes */
	uint32_t len = 12;
	const char *label = name;

	memset(out, 0, 12);
	store_be16(out, id);
	store_be16(out + 2, address ? 0x8180 : 0x0100); /* recursion desired; in the answer: response, recursion available */
	store_be16(out + 4, 1);
	store_be16(out + 6, address ? 1 : 0);
	while (*label) {
		size_t n = strcspn(label, ".");
		if (n > 63 || len + n > 250)
			traffic_die("'%s' is not a DNS name", name);
		out[len++] = (uint8_t)n;
		memcpy(out + len, label, n);
		len += (uint32_t)n;
		label += n + (label[n] == '.');
	}
	out[len++] = 0;
	store_be16(out + len, 1);
	store_be16(out + len + 2, 1);
	len += 4;
	if (address) {
		memcpy(out + len, answer, sizeof(answer));
		memcpy(out + len + sizeof(answer), address, 4);
		len += (uint32_t)sizeof(answer) + 4;
	}
	return len;
}
