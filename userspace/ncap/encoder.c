#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit.pb-c.h"
#include "legacy.pb-c.h"
#include "audit_record.h"
#include "text.h"
#include "wire.h"

static uint16_t member(const ProtobufCMessageDescriptor *message, const char *name, uint16_t *number)
{
	const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(message, name);

	if (!field || (number && field->id <= 3)) /* the ports of SCTP itself */
		return 0;
	if (number && (!*number || field->id < *number))
		*number = (uint16_t)field->id;
	return (uint16_t)field->offset;
}

/* Where the common fields are, by the schema's own description of the type. */
static void common_find(struct record_common *common, enum ncap_type type)
{
	const ProtobufCMessageDescriptor *message = ncap_types[type].current;

	if (!message)
		return;
	common->stamp = member(message, "Timestamp", NULL);
	common->src_ip = member(message, "SrcIP", &common->context_field);
	common->dst_ip = member(message, "DstIP", &common->context_field);
	common->src_port = member(message, "SrcPort", &common->context_field);
	common->dst_port = member(message, "DstPort", &common->context_field);
	common->flat = type == NCAP_TLS_CLIENT_HELLO;
}

/* FIN is field 7, CWR field 14. */
static void tcp_flags_make(uint8_t fields[256][16])
{
	for (unsigned flags = 0; flags < 256; flags++) {
		uint8_t *out = fields[flags];
		for (uint32_t i = 0; i < 8; i++)
			out = wire_bool(out, 7 + i, flags >> i & 1);
	}
}

int encoder_create(const struct record_options *options, struct encoder **result)
{
	struct encoder *encoder = calloc(1, sizeof(*encoder));

	if (!encoder)
		return -ENOMEM;
	encoder->options = *options;
	encoder->legacy = options->schema == NCAP_SCHEMA_LEGACY;
	encoder->scratch.bytes = malloc(SCRATCH_BYTES);
	if (!encoder->scratch.bytes) {
		encoder_destroy(encoder);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < NCAP_TYPES; i++)
		common_find(&encoder->common[i], (enum ncap_type)i);
	tcp_flags_make(encoder->tcp_flags);
	*result = encoder;
	return 0;
}

void encoder_destroy(struct encoder *encoder)
{
	if (!encoder)
		return;
	free(encoder->scratch.bytes);
	free(encoder);
}

size_t record_header(const struct record_header *header, uint8_t *out)
{
	char source[1024], created[32];
	struct scratch scratch = { .bytes = malloc(SCRATCH_BYTES) };
	Types__Header current = TYPES__HEADER__INIT;
	Legacy__Header legacy = LEGACY__HEADER__INIT;
	const ProtobufCMessage *message = header->legacy ? &legacy.base : &current.base;
	uint8_t *body;
	size_t bytes;

	snprintf(source, sizeof(source), "%s", scratch.bytes ? scratch_text(&scratch, header->source, strlen(header->source)) : "");
	free(scratch.bytes);
	created[record_time_text(created, header->created_ns)] = 0;
	current.created = (int64_t)header->created_ns;
	current.inputsource = legacy.inputsource = source;
	current.type = (Types__Type)header->type;
	legacy.type = (Legacy__Type)header->type;
	current.version = legacy.version = (char *)header->version;
	current.containspayloads = legacy.containspayloads = header->payloads;
	legacy.created = created;
	bytes = protobuf_c_message_get_packed_size(message);
	body = wire_varint(out, bytes);
	return (size_t)(body - out) + protobuf_c_message_pack(message, body);
}

#include "poison.h"

unsigned record_time_text(char *text, uint64_t ns)
{
	return (unsigned)(text_decimal(text, ns / 1000, 6) - text);
}

void encoder_begin(struct encoder *encoder, struct ncap_walk *walk)
{
	uint64_t ns = walk->frame->ts_ns;
	uint8_t *at = encoder->stamp;
	char text[32];

	encoder->walk = walk;
	encoder->scratch.used = 0;
	encoder->found.sni = encoder->found.ja3 = NULL;
	encoder->found.answers = 0;
	if (ns == encoder->stamp_ns && encoder->stamp_bytes)
		return;
	encoder->stamp_ns = ns;
	if (encoder->legacy)
		at = WIRE_TEXT(at, 1, text, record_time_text(text, ns));
	else
		at = wire_time(at, 1, ns);
	encoder->stamp_bytes = (uint8_t)(at - encoder->stamp);
}

uint8_t *encoder_layer(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	static record_fn *const records[NCAP_LAYERS] = {
		[NCAP_ETHERNET] = record_ethernet,
		[NCAP_DOT1Q] = record_dot1q,
		[NCAP_MPLS] = record_mpls,
		[NCAP_ARP] = record_arp,
		[NCAP_IPV4] = record_ipv4,
		[NCAP_IPV6] = record_ipv6,
		[NCAP_IPV6_FRAGMENT] = record_ipv6_fragment,
		[NCAP_ICMPV4] = record_icmpv4,
		[NCAP_ICMPV6] = record_icmpv6,
		[NCAP_ICMPV6_ECHO] = record_icmpv6_echo,
		[NCAP_ICMPV6_SOLICITATION] = record_icmpv6_neighbor,
		[NCAP_ICMPV6_ADVERTISEMENT] = record_icmpv6_neighbor,
		[NCAP_IGMP] = record_igmp,
		[NCAP_TCP] = record_tcp,
		[NCAP_UDP] = record_udp,
		[NCAP_SCTP] = record_sctp,
		[NCAP_GRE] = record_gre,
		[NCAP_VXLAN] = record_vxlan,
		[NCAP_GENEVE] = record_geneve,
		[NCAP_DNS] = record_dns,
		[NCAP_NTP] = record_ntp,
		[NCAP_DHCPV4] = record_dhcpv4,
		[NCAP_TLS_CLIENT_HELLO] = record_tls_client_hello,
		[NCAP_TLS_SERVER_HELLO] = record_tls_server_hello,
	};

	return records[layer->type](encoder, layer, out);
}

uint8_t *encoder_frame(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	uint8_t *end = encoder_layer(encoder, layer, out + 1);

	return end ? wire_close(out, end) : NULL;
}

uint8_t *record_pack_whole(struct encoder *encoder, const ProtobufCMessage *message, uint8_t *out)
{
	if (protobuf_c_message_get_packed_size(message) > RECORD_MAX - 256) {
		encoder->too_large++;
		return NULL;
	}
	return out + protobuf_c_message_pack(message, out);
}

static char *port_text(struct scratch *scratch, uint16_t port)
{
	char *text = scratch_take(scratch, TEXT_U64_MAX + 1);

	if (!text)
		return (char *)protobuf_c_empty_string;
	*text_u64(text, port) = 0;
	return text;
}

uint8_t *record_context(struct encoder *encoder, uint32_t field, const struct ncap_ip *ip, bool addresses, bool ports, uint8_t *out)
{
	Legacy__PacketContext context = LEGACY__PACKET_CONTEXT__INIT;

	if (addresses) {
		context.srcip = (char *)ip->src_text;
		context.dstip = (char *)ip->dst_text;
	}
	if (ports && ip->ports) {
		context.srcport = port_text(&encoder->scratch, ip->src_port);
		context.dstport = port_text(&encoder->scratch, ip->dst_port);
	}
	out = wire_tag(out, field, WIRE_BYTES);
	return wire_close(out, out + 1 + protobuf_c_message_pack(&context.base, out + 1));
}

#define AT(message, offset, type) (*(type *)((uint8_t *)(message) + (offset)))

static void context_fill(const struct record_common *common, ProtobufCMessage *message, const struct ncap_ip *ip)
{
	if (common->src_ip) {
		AT(message, common->src_ip, const char *) = ip->src_text;
		AT(message, common->dst_ip, const char *) = ip->dst_text;
	}
	if (common->src_port && ip->ports) {
		AT(message, common->src_port, int32_t) = ip->src_port;
		AT(message, common->dst_port, int32_t) = ip->dst_port;
	}
}

/* protobuf-c packs what the two schemas have in common; the time stamp goes in front of it, the context behind. */
static uint8_t *pack_legacy(struct encoder *encoder, const struct record_common *common, const ProtobufCMessage *message,
	const struct ncap_ip *ip, uint8_t *out)
{
	memcpy(out, encoder->stamp, sizeof(encoder->stamp));
	out = record_pack_whole(encoder, message, out + encoder->stamp_bytes);
	if (!out || !ip || !common->context_field || common->flat)
		return out;
	return record_context(encoder, common->context_field, ip, common->src_ip != 0, common->src_port != 0, out);
}

uint8_t *record_pack(
	struct encoder *encoder, enum ncap_type type, ProtobufCMessage *message, const struct ncap_ip *ip, uint8_t *out)
{
	const struct record_common *common = &encoder->common[type];

	if (ip)
		ncap_ip_texts((struct ncap_ip *)ip);
	if (ip && (!encoder->legacy || common->flat))
		context_fill(common, message, ip);
	if (encoder->legacy)
		return pack_legacy(encoder, common, message, ip, out);
	if (common->stamp)
		AT(message, common->stamp, int64_t) = (int64_t)encoder->stamp_ns;
	return record_pack_whole(encoder, message, out);
}

/* "00" to "ff". */
static const char hex_pairs[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
				"202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
				"404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"
				"606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
				"808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
				"a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
				"c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf"
				"e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";

void record_mac(char text[RECORD_MAC_BYTES + 1], const uint8_t mac[6])
{
	memcpy(text, "00:00:00:00:00:00", RECORD_MAC_BYTES + 1);
#pragma GCC unroll 6
	for (unsigned i = 0; i < 6; i++)
		memcpy(text + 3 * i, hex_pairs + 2 * mac[i], 2);
}

double record_entropy(const uint8_t *bytes, uint32_t n)
{
	uint32_t counts[256] = { 0 };
	double entropy = 0;

	for (uint32_t i = 0; i < n; i++)
		counts[bytes[i]]++;
	for (unsigned i = 0; i < 256; i++) {
		if (counts[i]) {
			double share = (double)counts[i] / n;
			entropy -= share * log2(share);
		}
	}
	return entropy < 0 ? 0 : entropy;
}
