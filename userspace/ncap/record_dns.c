/*
 * DNS (RFC 1035), over UDP and TCP. Everything in a message may lie: names are followed only backwards and up to 255 bytes, and the
 * lists end at the first record that is not whole. The counts are those of the header all the same.
 */
#include "audit.pb-c.h"
#include "bytes.h"
#include "audit_record.h"

#include "poison.h"

#define HEADER_BYTES   12
#define QUESTION_BYTES 5  /* of the root: type, class */
#define RECORD_BYTES   11 /* of the root, without data */
#define NAME_MAX_TEXT  255

enum rr_type { RR_A = 1, RR_NS = 2, RR_CNAME = 5, RR_SOA = 6, RR_PTR = 12, RR_MX = 15, RR_TXT = 16, RR_AAAA = 28, RR_SRV = 33 };

struct dns {
	struct scratch *scratch;
	const uint8_t *data; /* the message */
	uint32_t bytes;
	uint32_t at;
	bool broken; /* nothing more can be read */
	struct encoder_found *found;
};

/* Labels joined with points, without the last one: "" is the root. `at` moves behind the name. Returns the length; -1: broken. */
static int name_read(const struct dns *dns, uint32_t *at, char text[NAME_MAX_TEXT + 1])
{
	uint32_t from = *at, lowest = from, used = 0;
	bool jumped = false;

	for (;;) {
		if (from >= dns->bytes)
			return -1;
		uint8_t n = dns->data[from];
		if (n >= 0xc0) { /* section 4.1.4: elsewhere; ever further back, so it ends */
			if (from + 2 > dns->bytes)
				return -1;
			uint32_t target = load_be16(dns->data + from) & 0x3fff;
			if (!jumped)
				*at = from + 2;
			jumped = true;
			if (target >= lowest)
				return -1;
			from = lowest = target;
			continue;
		}
		if (n > 63 || from + 1 + n > dns->bytes || used + n + 1 > NAME_MAX_TEXT)
			return -1;
		from++;
		if (n == 0)
			break;
		if (used)
			text[used++] = '.';
		memcpy(text + used, dns->data + from, n);
		used += n;
		from += n;
	}
	if (!jumped)
		*at = from;
	return (int)used;
}

static char *name_text(struct dns *dns, uint32_t *at)
{
	char text[NAME_MAX_TEXT + 1];
	int n = name_read(dns, at, text);

	if (n < 0) {
		dns->broken = true;
		return (char *)protobuf_c_empty_string;
	}
	return scratch_text(dns->scratch, text, (size_t)n);
}

/* A name inside the data of a record: empty if it is broken, which does not stop the list. */
static ProtobufCBinaryData name_bytes(struct dns *dns, uint32_t at)
{
	char text[NAME_MAX_TEXT + 1];
	int n = name_read(dns, &at, text);
	uint8_t *copy = n > 0 ? scratch_take(dns->scratch, (size_t)n) : NULL;

	if (!copy)
		return (ProtobufCBinaryData){ 0 };
	memcpy(copy, text, (size_t)n);
	return (ProtobufCBinaryData){ .len = (size_t)n, .data = copy };
}

static size_t questions_read(struct dns *dns, unsigned count, Types__DNSQuestion ***list)
{
	size_t max = (dns->bytes - HEADER_BYTES) / QUESTION_BYTES, n = 0;
	max = count < max ? count : max;
	Types__DNSQuestion **questions = scratch_take(dns->scratch, max * sizeof(*questions));

	*list = questions;
	if (!questions)
		dns->broken = true;
	while (!dns->broken && n < max) {
		Types__DNSQuestion *question = scratch_take(dns->scratch, sizeof(*question));
		char *name = name_text(dns, &dns->at);
		if (!question || dns->broken || dns->at + 4 > dns->bytes) {
			dns->broken = true;
			break;
		}
		types__dnsquestion__init(question);
		question->name = name;
		question->type = load_be16(dns->data + dns->at);
		question->class_ = load_be16(dns->data + dns->at + 2);
		dns->at += 4;
		questions[n++] = question;
	}
	return n;
}

/* ---- resource records ---------------------------------------------------------------------------------------------- */

/* An address, and the name of the record that has it. */
static void answer_found(struct dns *dns, const char *name, const uint8_t *address, uint8_t version)
{
	struct encoder_found *found = dns->found;

	if (found->answers == FOUND_ANSWERS || !*name)
		return;
	found->answer[found->answers].name = name;
	found->answer[found->answers].address = address;
	found->answer[found->answers++].version = version;
}

static Types__DNSSOA *soa_read(struct dns *dns, uint32_t at, uint32_t end)
{
	Types__DNSSOA *soa = scratch_take(dns->scratch, sizeof(*soa));
	char text[NAME_MAX_TEXT + 1];
	uint32_t rname = at;

	if (!soa || name_read(dns, &rname, text) < 0)
		return NULL;
	uint32_t rest = rname;
	if (name_read(dns, &rest, text) < 0 || rest + 20 > end)
		return NULL;
	types__dnssoa__init(soa);
	soa->mname = name_bytes(dns, at);
	soa->rname = name_bytes(dns, rname);
	soa->serial = load_be32(dns->data + rest);
	soa->refresh = load_be32(dns->data + rest + 4);
	soa->retry = load_be32(dns->data + rest + 8);
	soa->expire = load_be32(dns->data + rest + 12);
	soa->minimum = load_be32(dns->data + rest + 16);
	return soa;
}

static Types__DNSSRV *srv_read(struct dns *dns, uint32_t at)
{
	Types__DNSSRV *srv = scratch_take(dns->scratch, sizeof(*srv));
	const uint8_t *data = dns->data + at;

	if (!srv)
		return NULL;
	types__dnssrv__init(srv);
	srv->priority = load_be16(data);
	srv->weight = load_be16(data + 2);
	srv->port = load_be16(data + 4);
	srv->name = name_bytes(dns, at + 6);
	return srv;
}

static Types__DNSMX *mx_read(struct dns *dns, uint32_t at)
{
	Types__DNSMX *mx = scratch_take(dns->scratch, sizeof(*mx));
	uint32_t name = at + 2;
	char text[NAME_MAX_TEXT + 1];

	if (!mx)
		return NULL;
	types__dnsmx__init(mx);
	mx->preference = load_be16(dns->data + at);
	int n = name_read(dns, &name, text);
	mx->name = n > 0 ? scratch_text(dns->scratch, text, (size_t)n) : (char *)protobuf_c_empty_string;
	return mx;
}

static size_t txts_read(struct dns *dns, uint32_t at, uint32_t end, ProtobufCBinaryData **list)
{
	ProtobufCBinaryData *txts = scratch_take(dns->scratch, (end - at) * sizeof(*txts));
	size_t n = 0;

	*list = txts;
	while (txts && at < end && at + 1 + dns->data[at] <= end) {
		txts[n++] = (ProtobufCBinaryData){ .len = dns->data[at], .data = (uint8_t *)dns->data + at + 1 };
		at += 1U + dns->data[at];
	}
	return n;
}

/* What the data of the known types mean. */
static void rdata_read(struct dns *dns, Types__DNSResourceRecord *record, uint32_t at, uint32_t end)
{
	uint32_t bytes = end - at;

	switch (record->type) {
	case RR_A:
		if (bytes != 4)
			break;
		record->ip = scratch_address(dns->scratch, dns->data + at, false);
		answer_found(dns, record->name, dns->data + at, 4);
		break;
	case RR_AAAA:
		if (bytes != 16)
			break;
		record->ip = scratch_address(dns->scratch, dns->data + at, true);
		answer_found(dns, record->name, dns->data + at, 6);
		break;
	case RR_NS:
		record->ns = name_bytes(dns, at);
		break;
	case RR_CNAME:
		record->cname = name_bytes(dns, at);
		break;
	case RR_PTR:
		record->ptr = name_bytes(dns, at);
		break;
	case RR_SOA:
		record->soa = soa_read(dns, at, end);
		break;
	case RR_SRV:
		record->srv = bytes >= 7 ? srv_read(dns, at) : NULL;
		break;
	case RR_MX:
		record->mx = bytes >= 3 ? mx_read(dns, at) : NULL;
		break;
	case RR_TXT:
		record->n_txts = txts_read(dns, at, end, &record->txts);
		break;
	default:
		break;
	}
}

static size_t records_read(struct dns *dns, unsigned count, Types__DNSResourceRecord ***list)
{
	size_t max = (dns->bytes - HEADER_BYTES) / RECORD_BYTES, n = 0;
	max = count < max ? count : max;
	Types__DNSResourceRecord **records = dns->broken ? NULL : scratch_take(dns->scratch, max * sizeof(*records));

	*list = records;
	if (!records)
		dns->broken = true;
	while (!dns->broken && n < max) {
		Types__DNSResourceRecord *record = scratch_take(dns->scratch, sizeof(*record));
		char *name = name_text(dns, &dns->at);
		const uint8_t *at = dns->data + dns->at;
		if (!record || dns->broken || dns->at + 10 > dns->bytes || dns->at + 10 + load_be16(at + 8) > dns->bytes) {
			dns->broken = true;
			break;
		}
		types__dnsresource_record__init(record);
		record->name = name;
		record->type = load_be16(at);
		record->class_ = load_be16(at + 2);
		record->ttl = load_be32(at + 4);
		record->datalength = load_be16(at + 8);
		record->data = (ProtobufCBinaryData){ .len = (size_t)record->datalength, .data = (uint8_t *)at + 10 };
		dns->at += 10;
		rdata_read(dns, record, dns->at, dns->at + (uint32_t)record->datalength);
		dns->at += (uint32_t)record->datalength;
		records[n++] = record;
	}
	return n;
}

static void header_read(const uint8_t *data, Types__DNS *message)
{
	message->id = load_be16(data);
	message->qr = data[2] >> 7;
	message->opcode = data[2] >> 3 & 0xf;
	message->aa = data[2] >> 2 & 1;
	message->tc = data[2] >> 1 & 1;
	message->rd = data[2] & 1;
	message->ra = data[3] >> 7;
	message->z = data[3] >> 4 & 7;
	message->responsecode = data[3] & 0xf;
	message->qdcount = load_be16(data + 4);
	message->ancount = load_be16(data + 6);
	message->nscount = load_be16(data + 8);
	message->arcount = load_be16(data + 10);
}

/* Over TCP only the length says that a message begins here, which some bytes amid a stream do too: what is counted must have room. */
static bool stream_begins(const uint8_t *data, uint32_t bytes)
{
	uint32_t length = bytes < 2 + HEADER_BYTES ? 0 : load_be16(data);

	if (length < HEADER_BYTES || length > bytes - 2)
		return false;
	const uint8_t *counts = data + 2 + 4;
	uint32_t records = load_be16(counts + 2) + load_be16(counts + 4) + load_be16(counts + 6);
	return load_be16(counts) * QUESTION_BYTES + records * RECORD_BYTES <= length - HEADER_BYTES;
}

uint8_t *record_dns(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const struct ncap_ip *ip = record_ip(encoder, layer);
	struct dns dns = {
		.scratch = &encoder->scratch,
		.found = &encoder->found,
		.data = encoder->walk->frame->data + layer->off,
		.bytes = layer->end - layer->off,
		.at = HEADER_BYTES,
	};
	Types__DNS message = TYPES__DNS__INIT;

	if (ip->transport == NCAP_TCP) { /* section 4.2.2: the length in front; a message that begins elsewhere is left out */
		if (!stream_begins(dns.data, dns.bytes))
			return NULL;
		dns.bytes = load_be16(dns.data);
		dns.data += 2;
	}
	if (dns.bytes < HEADER_BYTES)
		return NULL;
	header_read(dns.data, &message);
	message.n_questions = questions_read(&dns, (unsigned)message.qdcount, &message.questions);
	message.n_answers = records_read(&dns, (unsigned)message.ancount, &message.answers);
	message.n_authorities = records_read(&dns, (unsigned)message.nscount, &message.authorities);
	message.n_additionals = records_read(&dns, (unsigned)message.arcount, &message.additionals);
	return record_pack(encoder, NCAP_DNS, &message.base, ip, out);
}
