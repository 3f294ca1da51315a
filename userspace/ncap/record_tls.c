/*
 * TLS hellos (RFC 8446, section 4.1; RFC 5246, section 7.4.1) at the beginning of a segment. A client's hello that goes on in the next
 * segment is read up to there, and has no fingerprint then: only the whole list makes one.
 */
#include "audit.pb-c.h"
#include "bytes.h"
#include "fingerprint.h"
#include "audit_record.h"

#include "poison.h"

#define RECORD_BYTES    5
#define HANDSHAKE_BYTES 4
#define RANDOM_BYTES    32
#define DRAFT_VERSION   0x7f /* of the upper byte: drafts of TLS 1.3, up to 21; their server hello has no session, no compression */

enum extension {
	EXTENSION_SERVER_NAME = 0,
	EXTENSION_STATUS_REQUEST = 5,
	EXTENSION_GROUPS = 10,
	EXTENSION_POINTS = 11,
	EXTENSION_SIGNATURES = 13,
	EXTENSION_ALPN = 16,
	EXTENSION_SCT = 18,
	EXTENSION_MASTER_SECRET = 23,
	EXTENSION_TICKET = 35,
	EXTENSION_PRE_SHARED_KEY = 41,
	EXTENSION_VERSIONS = 43,
	EXTENSION_COOKIE = 44,
	EXTENSION_KEY_SHARE = 51,
	EXTENSION_NEXT_PROTOCOL = 13172,
	EXTENSION_RENEGOTIATION = 65281,
};

/* Bytes that are still to be read; short: something was asked for that is not there. */
struct cursor {
	const uint8_t *at;
	const uint8_t *end;
	bool is_short;
};

static uint32_t left(const struct cursor *cursor)
{
	return (uint32_t)(cursor->end - cursor->at);
}

static const uint8_t *take(struct cursor *cursor, uint32_t bytes)
{
	const uint8_t *at = cursor->at;

	if (left(cursor) < bytes) {
		cursor->is_short = true;
		cursor->at = cursor->end;
		return NULL;
	}
	cursor->at += bytes;
	return at;
}

static uint32_t take_number(struct cursor *cursor, uint32_t bytes)
{
	const uint8_t *at = take(cursor, bytes);
	uint32_t value = 0;

	for (uint32_t i = 0; at && i < bytes; i++)
		value = value << 8 | at[i];
	return value;
}

/* A vector with a length of `bytes` bytes in front; what is cut off is not in it. */
static struct cursor take_vector(struct cursor *cursor, uint32_t bytes)
{
	uint32_t n = take_number(cursor, bytes);
	uint32_t there = n < left(cursor) ? n : left(cursor);
	struct cursor vector = { .at = cursor->at, .end = cursor->at + there };

	vector.is_short = cursor->is_short || there < n;
	cursor->is_short |= there < n;
	cursor->at += there;
	return vector;
}

static ProtobufCBinaryData as_bytes(const struct cursor *vector)
{
	return (ProtobufCBinaryData){ .len = left(vector), .data = (uint8_t *)vector->at };
}

/* All numbers of `bytes` bytes in a vector. */
static size_t numbers(struct scratch *scratch, struct cursor vector, uint32_t bytes, int32_t **list)
{
	size_t n = left(&vector) / bytes;
	int32_t *values = scratch_take(scratch, n * sizeof(*values));

	*list = values;
	if (!values)
		return 0;
	for (size_t i = 0; i < n; i++)
		values[i] = (int32_t)take_number(&vector, bytes);
	return n;
}

/* Names with a length of one byte in front. */
static size_t names(struct scratch *scratch, struct cursor vector, char ***list)
{
	char **texts = scratch_take(scratch, left(&vector) * sizeof(*texts));
	size_t n = 0;

	*list = texts;
	while (texts && left(&vector)) {
		struct cursor name = take_vector(&vector, 1);
		if (name.is_short)
			break;
		texts[n++] = scratch_text(scratch, name.at, left(&name));
	}
	return n;
}

/* Addresses of the Ethernet header around the layer; "" if there is none. */
static void macs(struct encoder *encoder, const struct ncap_layer *layer, char **src, char **dst)
{
	const struct ncap_layer *ethernet = NULL;

	for (const struct ncap_layer *at = encoder->walk->layers; at < layer; at++)
		ethernet = at->type == NCAP_ETHERNET ? at : ethernet;
	if (!ethernet)
		return;
	const uint8_t *header = encoder->walk->frame->data + ethernet->off;
	char *texts = scratch_take(&encoder->scratch, 2 * (RECORD_MAC_BYTES + 1));
	if (!texts)
		return;
	*src = texts;
	*dst = texts + RECORD_MAC_BYTES + 1;
	record_mac(*src, header + 6);
	record_mac(*dst, header);
}

/* ---- the client ---------------------------------------------------------------------------------------------------- */

struct client {
	struct encoder *encoder;
	Types__TLSClientHello message;
	struct fingerprint_hello hello;
};

/* RFC 6066, section 3: the first name of type 0. */
static void server_name(struct client *client, struct cursor body)
{
	struct cursor list = take_vector(&body, 2);

	client->hello.server_name = true;
	while (left(&list) > 3) {
		uint32_t type = take_number(&list, 1);
		struct cursor name = take_vector(&list, 2);
		if (name.is_short)
			return;
		if (type == 0) {
			client->message.sni = scratch_text(&client->encoder->scratch, name.at, left(&name));
			return;
		}
	}
}

static void client_alpn(struct client *client, struct cursor body)
{
	struct cursor list = take_vector(&body, 2), first = list;
	struct cursor name = take_vector(&first, 1);

	client->message.n_alpns = names(&client->encoder->scratch, list, &client->message.alpns);
	if (!name.is_short) {
		client->hello.alpn = name.at;
		client->hello.alpn_bytes = left(&name);
	}
}

static void client_versions(struct client *client, struct cursor body)
{
	struct cursor list = take_vector(&body, 1);

	while (left(&list) >= 2) {
		int32_t version = (int32_t)take_number(&list, 2);
		if (!fingerprint_is_grease(version) && version > client->hello.version_offered)
			client->hello.version_offered = version;
	}
}

static void client_extension(struct client *client, uint32_t type, struct cursor body)
{
	struct scratch *scratch = &client->encoder->scratch;
	Types__TLSClientHello *message = &client->message;

	switch (type) {
	case EXTENSION_SERVER_NAME:
		server_name(client, body);
		break;
	case EXTENSION_STATUS_REQUEST:
		message->oscp = true;
		break;
	case EXTENSION_GROUPS:
		message->n_supportedgroups = numbers(scratch, take_vector(&body, 2), 2, &message->supportedgroups);
		break;
	case EXTENSION_POINTS:
		message->n_supportedpoints = numbers(scratch, take_vector(&body, 1), 1, &message->supportedpoints);
		break;
	case EXTENSION_SIGNATURES:
		message->n_signaturealgs = numbers(scratch, take_vector(&body, 2), 2, &message->signaturealgs);
		break;
	case EXTENSION_ALPN:
		client_alpn(client, body);
		break;
	case EXTENSION_VERSIONS:
		client_versions(client, body);
		break;
	default:
		break;
	}
}

/* Far more than there are; of a longer list the first ones. */
#define EXTENSIONS_MAX 1024

static void client_extensions(struct client *client, struct cursor *list)
{
	size_t max = left(list) / 4 < EXTENSIONS_MAX ? left(list) / 4 : EXTENSIONS_MAX;
	Types__TLSClientHello *message = &client->message;

	message->extensions = scratch_take(&client->encoder->scratch, max * sizeof(*message->extensions));
	while (message->extensions && message->n_extensions < max && left(list) >= 4) {
		uint32_t type = take_number(list, 2);
		struct cursor body = take_vector(list, 2);
		message->extensions[message->n_extensions++] = (int32_t)type;
		client_extension(client, type, body);
		if (list->is_short)
			return;
	}
}

static void client_fingerprints(struct client *client)
{
	Types__TLSClientHello *message = &client->message;
	struct fingerprint_hello *hello = &client->hello;
	char *ja3 = scratch_take(&client->encoder->scratch, JA3_BYTES + 1 + JA4_BYTES + 1);

	if (!ja3)
		return;
	hello->version = message->handshakeversion;
	hello->ciphers = (struct fingerprint_list){ message->n_ciphersuites, message->ciphersuites };
	hello->extensions = (struct fingerprint_list){ message->n_extensions, message->extensions };
	hello->groups = (struct fingerprint_list){ message->n_supportedgroups, message->supportedgroups };
	hello->points = (struct fingerprint_list){ message->n_supportedpoints, message->supportedpoints };
	hello->signatures = (struct fingerprint_list){ message->n_signaturealgs, message->signaturealgs };
	message->ja3 = ja3;
	message->ja4 = ja3 + JA3_BYTES + 1;
	fingerprint_ja3(hello, message->ja3);
	fingerprint_ja4(hello, message->ja4);
}

/* The headers of record and handshake. */
struct hello_head {
	uint32_t version;
	uint32_t record_bytes;
	uint32_t bytes; /* of the hello */
	bool cut;       /* its end is in another segment or record */
};

/* Leaves the hello to be read. False: it is none. */
static bool hello_begin(struct cursor *cursor, struct hello_head *head)
{
	take_number(cursor, 1);
	head->version = take_number(cursor, 2);
	head->record_bytes = take_number(cursor, 2);
	take_number(cursor, 1);
	head->bytes = take_number(cursor, 3);
	if (cursor->is_short || head->record_bytes < HANDSHAKE_BYTES || head->bytes > 0xffff)
		return false;
	uint32_t there = head->record_bytes - HANDSHAKE_BYTES;
	there = there < left(cursor) ? there : left(cursor);
	head->cut = head->bytes > there;
	cursor->end = cursor->at + (head->cut ? there : head->bytes);
	return left(cursor) >= 2 + RANDOM_BYTES + 1 && (cursor->at[0] == 3 || cursor->at[0] == DRAFT_VERSION);
}

uint8_t *record_tls_client_hello(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const uint8_t *data = encoder->walk->frame->data;
	struct cursor cursor = { .at = data + layer->off, .end = data + layer->end };
	struct client client = { .encoder = encoder, .message = TYPES__TLSCLIENT_HELLO__INIT };
	Types__TLSClientHello *message = &client.message;
	struct hello_head head;

	if (!hello_begin(&cursor, &head))
		return NULL;
	message->type = data[layer->off];
	message->version = (int32_t)head.version;
	message->messagelen = (int32_t)head.record_bytes;
	message->handshaketype = 1;
	message->handshakelen = head.bytes;
	message->handshakeversion = (int32_t)take_number(&cursor, 2);
	message->random = (ProtobufCBinaryData){ .len = RANDOM_BYTES, .data = (uint8_t *)take(&cursor, RANDOM_BYTES) };
	struct cursor session = take_vector(&cursor, 1), ciphers = take_vector(&cursor, 2);
	if (ciphers.is_short || left(&ciphers) % 2)
		return NULL;
	message->sessionidlen = left(&session);
	message->sessionid = as_bytes(&session);
	message->ciphersuitelen = (int32_t)left(&ciphers);
	message->n_ciphersuites = numbers(&encoder->scratch, ciphers, 2, &message->ciphersuites);
	message->n_compressmethods = numbers(&encoder->scratch, take_vector(&cursor, 1), 1, &message->compressmethods);
	if (left(&cursor) >= 2) {
		message->extensionlen = (int32_t)load_be16(cursor.at);
		struct cursor extensions = take_vector(&cursor, 2);
		client_extensions(&client, &extensions);
		cursor.is_short |= extensions.is_short;
	}
	if (!cursor.is_short && !head.cut)
		client_fingerprints(&client);
	macs(encoder, layer, &message->srcmac, &message->dstmac);
	encoder->found.sni = message->sni;
	encoder->found.ja3 = *message->ja3 ? message->ja3 : NULL;
	return record_pack(encoder, NCAP_TLS_CLIENT_HELLO, &message->base, record_ip(encoder, layer), out);
}

/* ---- the server ---------------------------------------------------------------------------------------------------- */

static size_t scts(struct scratch *scratch, struct cursor body, ProtobufCBinaryData **list)
{
	struct cursor vector = take_vector(&body, 2);
	ProtobufCBinaryData *items = scratch_take(scratch, left(&vector) / 2 * sizeof(*items));
	size_t n = 0;

	*list = items;
	while (items && left(&vector) >= 2) {
		struct cursor item = take_vector(&vector, 2);
		if (item.is_short)
			break;
		items[n++] = as_bytes(&item);
	}
	return n;
}

static void server_alpn(struct scratch *scratch, struct cursor body, Types__TLSServerHello *message)
{
	struct cursor list = take_vector(&body, 2), name = take_vector(&list, 1);

	if (!name.is_short)
		message->alpnprotocol = scratch_text(scratch, name.at, left(&name));
}

static void server_extension(struct scratch *scratch, uint32_t type, struct cursor body, Types__TLSServerHello *message)
{
	struct cursor vector;

	switch (type) {
	case EXTENSION_STATUS_REQUEST:
		message->ocspstapling = true;
		break;
	case EXTENSION_ALPN:
		server_alpn(scratch, body, message);
		break;
	case EXTENSION_SCT:
		message->n_scts = scts(scratch, body, &message->scts);
		break;
	case EXTENSION_MASTER_SECRET:
		message->ems = true;
		break;
	case EXTENSION_TICKET:
		message->ticketsupported = true;
		break;
	case EXTENSION_PRE_SHARED_KEY:
		message->selectedidentitypresent = true;
		message->selectedidentity = (int32_t)take_number(&body, 2);
		break;
	case EXTENSION_VERSIONS:
		message->supportedversion = (int32_t)take_number(&body, 2);
		break;
	case EXTENSION_COOKIE:
		vector = take_vector(&body, 2);
		message->cookie = as_bytes(&vector);
		break;
	case EXTENSION_KEY_SHARE:
		message->selectedgroup = (int32_t)take_number(&body, 2);
		break;
	case EXTENSION_NEXT_PROTOCOL:
		message->nextprotoneg = true;
		message->n_nextprotos = names(scratch, body, &message->nextprotos);
		break;
	case EXTENSION_RENEGOTIATION:
		message->securerenegotiationsupported = true;
		vector = take_vector(&body, 1);
		message->securerenegotiation = as_bytes(&vector);
		break;
	default:
		break;
	}
}

static void server_extensions(struct scratch *scratch, struct cursor *list, Types__TLSServerHello *message)
{
	size_t max = left(list) / 4 < EXTENSIONS_MAX ? left(list) / 4 : EXTENSIONS_MAX;

	message->extensions = scratch_take(scratch, max * sizeof(*message->extensions));
	while (message->extensions && message->n_extensions < max && left(list) >= 4) {
		uint32_t type = take_number(list, 2);
		struct cursor body = take_vector(list, 2);
		message->extensions[message->n_extensions++] = (int32_t)type;
		server_extension(scratch, type, body, message);
		if (list->is_short)
			return;
	}
}

uint8_t *record_tls_server_hello(struct encoder *encoder, const struct ncap_layer *layer, uint8_t *out)
{
	const uint8_t *data = encoder->walk->frame->data;
	struct cursor cursor = { .at = data + layer->off, .end = data + layer->end };
	Types__TLSServerHello message = TYPES__TLSSERVER_HELLO__INIT;
	struct scratch *scratch = &encoder->scratch;
	struct hello_head head;

	if (!hello_begin(&cursor, &head))
		return NULL;
	message.version = (int32_t)take_number(&cursor, 2);
	message.random = (ProtobufCBinaryData){ .len = RANDOM_BYTES, .data = (uint8_t *)take(&cursor, RANDOM_BYTES) };
	bool draft = message.version >> 8 == DRAFT_VERSION;
	struct cursor session = { .at = cursor.at, .end = cursor.at };
	if (!draft)
		session = take_vector(&cursor, 1);
	if (left(&cursor) < 3)
		return NULL;
	message.sessionid = as_bytes(&session);
	message.ciphersuite = (int32_t)take_number(&cursor, 2);
	message.compressionmethod = draft ? 0 : (int32_t)take_number(&cursor, 1);
	if (left(&cursor) >= 2) {
		struct cursor extensions = take_vector(&cursor, 2);
		server_extensions(scratch, &extensions, &message);
		cursor.is_short |= extensions.is_short;
	}
	char *ja3s = cursor.is_short || head.cut ? NULL : scratch_take(scratch, JA3_BYTES + 1);
	if (ja3s) {
		struct fingerprint_list list = { message.n_extensions, message.extensions };
		fingerprint_ja3s(message.version, message.ciphersuite, &list, ja3s);
		message.ja3s = ja3s;
	}
	macs(encoder, layer, &message.srcmac, &message.dstmac);
	return record_pack(encoder, NCAP_TLS_SERVER_HELLO, &message.base, record_ip(encoder, layer), out);
}
