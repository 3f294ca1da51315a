/*
 * DHCP for IPv4 (RFC 2131, options: RFC 2132). The format has an option's data as text: so options that are text are that, all others
 * hexadecimal digits.
 */
#include "audit.pb-c.h"
#include "bytes.h"
#include "audit_record.h"
#include "text.h"

#include "poison.h"

#define DHCP_BYTES 240
#define COOKIE     0x63825363u

enum { OPTION_PAD = 0, OPTION_REQUESTED = 55, OPTION_END = 255 };

static bool option_is_text(uint8_t type)
{
	switch (type) {
	case 12:  /* host name */
	case 14:  /* merit dump file */
	case 15:  /* domain name */
	case 17:  /* root path */
	case 18:  /* extensions path */
	case 40:  /* NIS domain */
	case 47:  /* NetBIOS scope */
	case 56:  /* message */
	case 60:  /* vendor class */
	case 64:  /* NIS+ domain */
	case 66:  /* TFTP server */
	case 67:  /* boot file */
	case 100: /* time zones, RFC 4833 */
	case 101:
	case 114: /* captive portal, RFC 8910 */
	case 252: /* proxy configuration */
		return true;
	default:
		return false;
	}
}

static char *hex_text(struct scratch *scratch, const uint8_t *bytes, uint32_t n, const char *between)
{
	static const char digits[] = "0123456789abcdef";
	char *text = scratch_take(scratch, 3 * (size_t)n + 1), *out = text;

	if (!text)
		return (char *)protobuf_c_empty_string;
	for (uint32_t i = 0; i < n; i++) {
		if (i && *between)
			*out++ = *between;
		*out++ = digits[bytes[i] >> 4];
		*out++ = digits[bytes[i] & 0xf];
	}
	*out = 0;
	return text;
}

/* The numbers of the options that a client asks for, in its order: clients of a kind have the same list. */
static char *fingerprint(struct scratch *scratch, const uint8_t *bytes, uint32_t n)
{
	char *text = scratch_take(scratch, 4 * (size_t)n + TEXT_U64_MAX), *out = text;

	if (!text)
		return (char *)protobuf_c_empty_string;
	for (uint32_t i = 0; i < n; i++) {
		if (i)
			*out++ = ',';
		out = text_u64(out, bytes[i]);
	}
	*out = 0;
	return text;
}

/* Trailing zeros are to be deleted (RFC 2132, section 2). */
static char *option_text(struct scratch *scratch, const uint8_t *bytes, uint32_t n)
{
	while (n > 0 && bytes[n - 1] == 0)
		n--;
	return scratch_text(scratch, bytes, n);
}

/* Up to the end, or an option that is cut off. */
static void options_read(struct scratch *scratch, const uint8_t *at, const uint8_t *end, Types__DHCPv4 *message)
{
	size_t max = (size_t)(end - at) / 2 + 1;

	message->options = scratch_take(scratch, max * sizeof(*message->options));
	while (message->options && at < end && *at != OPTION_END) {
		if (*at == OPTION_PAD) {
			at++;
			continue;
		}
		if (end - at < 2 || at[1] > end - at - 2)
			return;
		Types__DHCPOption *option = scratch_take(scratch, sizeof(*option));
		if (!option)
			return;
		types__dhcpoption__init(option);
		option->type = at[0];
		option->length = at[1];
		option->data = option_is_text(at[0]) ? option_text(scratch, at + 2, at[1]) : hex_text(scratch, at + 2, at[1], "");
		if (at[0] == OPTION_REQUESTED)
			message->fingerprint = fingerprint(scratch, at + 2, at[1]);
		message->options[message->n_options++] = option;
		at += 2 + at[1];
	}
}

/* A name in a field of fixed size: up to its zero byte. */
static ProtobufCBinaryData fixed_name(const uint8_t *bytes, size_t n)
{
	const uint8_t *zero = memchr(bytes, 0, n);

	return (ProtobufCBinaryData){ .len = zero ? (size_t)(zero - bytes) : n, .data = (uint8_t *)bytes };
}

uint8_t *record_dhcpv4(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const uint8_t *data = encoder->walk->frame->data, *dhcp = data + layer->off, *end = data + layer->end;
	struct scratch *scratch = &encoder->scratch;
	Types__DHCPv4 message = TYPES__DHCPV4__INIT;

	if (end - dhcp < DHCP_BYTES || load_be32(dhcp + 236) != COOKIE)
		return NULL;
	message.operation = dhcp[0];
	message.hardwaretype = dhcp[1];
	message.hardwarelen = dhcp[2];
	message.hardwareopts = dhcp[3];
	message.xid = load_be32(dhcp + 4);
	message.secs = load_be16(dhcp + 8);
	message.flags = load_be16(dhcp + 10);
	message.clientip = scratch_address(scratch, dhcp + 12, false);
	message.yourclientip = scratch_address(scratch, dhcp + 16, false);
	message.nextserverip = scratch_address(scratch, dhcp + 20, false);
	message.relayagentip = scratch_address(scratch, dhcp + 24, false);
	message.clienthwaddr = hex_text(scratch, dhcp + 28, dhcp[2] < 16 ? dhcp[2] : 16, ":");
	message.servername = fixed_name(dhcp + 44, 64);
	message.file = fixed_name(dhcp + 108, 128);
	options_read(scratch, dhcp + DHCP_BYTES, end, &message);
	return record_pack(encoder, NCAP_DHCPV4, &message.base, record_ip(encoder, layer), out);
}
