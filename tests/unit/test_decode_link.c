/* Link layers, tags, labels and PPP: what leads to IP, what does not, and what is cut. */
#include "decode_case.h"

static void tcp4(struct packet_builder *b, const struct ends *e)
{
	pb_ipv4(b, e->src4, e->dst4, 6);
	pb_tcp(b, e->src_port, e->dst_port, 0x01020304, 0x05060708, 0x18);
	pb_fill(b, 10);
}

static void tcp6(struct packet_builder *b, const struct ends *e)
{
	pb_ipv6(b, e->src6, e->dst6, 6);
	pb_tcp(b, e->src_port, e->dst_port, 0x01020304, 0x05060708, 0x18);
	pb_fill(b, 10);
}

static void ethernet(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x0800);
	tcp4(b, e);
}

static void ethernet6(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x86dd);
	tcp6(b, e);
}

static void padded(struct packet_builder *b, const struct ends *e)
{
	ethernet(b, e);
	pb_finish(b);
	pb_zero(b, 30);
}

static void vlan(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x8100);
	pb_vlan(b, 0x2000 | 100, 0x0800);
	tcp4(b, e);
}

static void priority_tag(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x8100);
	pb_vlan(b, 0xe000, 0x0800);
	tcp4(b, e);
}

static void qinq(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x88a8);
	pb_vlan(b, 7, 0x8100);
	pb_vlan(b, 8, 0x86dd);
	tcp6(b, e);
}

static void pbb(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x88a8); /* the tag of the backbone */
	pb_vlan(b, 9, 0x88e7);
	pb_be32(b, 0x60000000 | 4711);
	pb_ethernet(b, 0x8100);
	pb_vlan(b, 8, 0x0800);
	tcp4(b, e);
}

static void pbb_endless(struct packet_builder *b, const struct ends *e)
{
	for (unsigned i = 0; i < 40; i++) {
		pb_ethernet(b, 0x88e7);
		pb_be32(b, i);
	}
	pb_ethernet(b, 0x0800);
	tcp4(b, e);
}

static void pbb_cut(struct packet_builder *b, const struct ends *e)
{
	(void)e;
	pb_ethernet(b, 0x88e7);
	pb_be16(b, 0);
}

static void vlan_stack(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x9100);
	pb_vlan(b, 1, 0x9200);
	pb_vlan(b, 2, 0x8100);
	pb_vlan(b, 3, 0x8100);
	pb_vlan(b, 4, 0x0800);
	tcp4(b, e);
}

static void vlan_endless(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x8100);
	for (unsigned i = 0; i < 40; i++)
		pb_vlan(b, 1, 0x8100);
	pb_vlan(b, 1, 0x0800);
	tcp4(b, e);
}

static void mpls(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x8847);
	pb_mpls(b, 17, false);
	pb_mpls(b, 18, true);
	tcp4(b, e);
}

static void mpls6(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x8848);
	pb_mpls(b, 99, true);
	tcp6(b, e);
}

static void mpls_control_word(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x8847);
	pb_mpls(b, 18, true);
	pb_be32(b, 0);
	ethernet(b, e);
}

static void mpls_ethernet(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x8847);
	pb_mpls(b, 18, true);
	ethernet(b, e);
}

/* The MAC address of the pseudowire's frame starts as an IPv4 header would. */
static void mpls_ethernet_nibble(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x8847);
	pb_mpls(b, 18, true);
	uint32_t at = b->len;
	ethernet(b, e);
	b->bytes[at] = 0x40;
}

static void mpls_channel(struct packet_builder *b, const struct ends *e)
{
	(void)e;
	pb_ethernet(b, 0x8847);
	pb_mpls(b, 13, true);
	pb_be32(b, 0x10000007);
}

static void mpls_endless(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x8847);
	for (unsigned i = 0; i < 20; i++)
		pb_mpls(b, i, false);
	pb_mpls(b, 18, true);
	tcp4(b, e);
}

static void pppoe(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x8864);
	pb_pppoe(b, 5, 0x0021);
	tcp4(b, e);
}

static void pppoe6(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x8864);
	pb_pppoe(b, 5, 0x0057);
	tcp6(b, e);
}

static void pppoe_compressed(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0x8864);
	pb_be32(b, 0x11000005);
	pb_be16(b, 0);
	pb_length_field(b, b->len - 2, b->len);
	pb_u8(b, 0x21);
	tcp4(b, e);
}

static void pppoe_lcp(struct packet_builder *b, const struct ends *e)
{
	(void)e;
	pb_ethernet(b, 0x8864);
	pb_pppoe(b, 5, 0xc021);
	pb_fill(b, 8);
}

static void pppoe_discovery(struct packet_builder *b, const struct ends *e)
{
	(void)e;
	pb_ethernet(b, 0x8863);
	pb_be32(b, 0x11090000);
	pb_be16(b, 0);
}

static void snap(struct packet_builder *b, const struct ends *e)
{
	pb_ethernet(b, 0);
	pb_length_field(b, 12, 14);
	pb_bytes(b, "\xaa\xaa\x03\x00\x00\x00\x08\x00", 8);
	tcp4(b, e);
}

static void snap_bridged(struct packet_builder *b, const struct ends *e)
{
	snap(b, e);
	b->bytes[14 + 5] = 0xf8;
}

static void snap_other(struct packet_builder *b, const struct ends *e)
{
	snap(b, e);
	b->bytes[14 + 5] = 0x0c; /* Cisco's: what follows is no EtherType */
}

/* An IP header that claims more than the 802.3 length leaves it, and padding that would be there to take. */
static void snap_padded(struct packet_builder *b, const struct ends *e)
{
	snap(b, e);
	pb_finish(b);
	b->bytes[22 + 2] = 0xff;
	pb_zero(b, 30);
}

static void spanning_tree(struct packet_builder *b, const struct ends *e)
{
	(void)e;
	pb_ethernet(b, 38);
	pb_bytes(b, "\x42\x42\x03", 3);
	pb_zero(b, 35);
}

static void arp(struct packet_builder *b, const struct ends *e)
{
	(void)e;
	pb_ethernet(b, 0x0806);
	pb_zero(b, 28);
}

static void rarp(struct packet_builder *b, const struct ends *e)
{
	(void)e;
	pb_ethernet(b, 0x8035);
	pb_zero(b, 28);
}

static void lldp(struct packet_builder *b, const struct ends *e)
{
	(void)e;
	pb_ethernet(b, 0x88cc);
	pb_zero(b, 50);
}

static void runt(struct packet_builder *b, const struct ends *e)
{
	(void)e;
	pb_zero(b, 13);
}

static void vlan_runt(struct packet_builder *b, const struct ends *e)
{
	(void)e;
	pb_ethernet(b, 0x8100);
	pb_be16(b, 3);
}

static void mpls_runt(struct packet_builder *b, const struct ends *e)
{
	(void)e;
	pb_ethernet(b, 0x8847);
	pb_mpls(b, 3, false);
	pb_be16(b, 3);
}

static void pppoe_runt(struct packet_builder *b, const struct ends *e)
{
	(void)e;
	pb_ethernet(b, 0x8864);
	pb_be32(b, 0x11000005);
}

static void sll(struct packet_builder *b, const struct ends *e)
{
	pb_zero(b, 14);
	pb_be16(b, 0x0800);
	tcp4(b, e);
}

static void sll_vlan(struct packet_builder *b, const struct ends *e)
{
	pb_zero(b, 14);
	pb_be16(b, 0x8100);
	pb_vlan(b, 9, 0x86dd);
	tcp6(b, e);
}

static void sll_llc(struct packet_builder *b, const struct ends *e)
{
	(void)e;
	pb_zero(b, 14);
	pb_be16(b, 4);
	pb_bytes(b, "\x42\x42\x03", 3);
}

static void sll2(struct packet_builder *b, const struct ends *e)
{
	pb_be16(b, 0x86dd);
	pb_zero(b, 18);
	tcp6(b, e);
}

static void null_little(struct packet_builder *b, const struct ends *e)
{
	pb_bytes(b, "\x02\0\0\0", 4);
	tcp4(b, e);
}

static void null_big(struct packet_builder *b, const struct ends *e)
{
	pb_be32(b, 30);
	tcp6(b, e);
}

static void family_10(struct packet_builder *b, const struct ends *e)
{
	pb_be32(b, 10);
	tcp6(b, e);
}

static void family_24(struct packet_builder *b, const struct ends *e)
{
	pb_be32(b, 24);
	tcp6(b, e);
}

static void family_28(struct packet_builder *b, const struct ends *e)
{
	pb_be32(b, 28);
	tcp6(b, e);
}

static void family_osi(struct packet_builder *b, const struct ends *e)
{
	pb_be32(b, 7);
	tcp4(b, e);
}

static void family_ethertype(struct packet_builder *b, const struct ends *e)
{
	pb_be32(b, 0x0f000800);
	tcp4(b, e);
}

static void nothing(struct packet_builder *b, const struct ends *e)
{
	(void)b;
	(void)e;
}

#define TCP4 .proto = 6, .payload_len = 10
#define TCP6 .version = 6, .proto = 6, .payload_len = 10

static const struct decode_case links[] = {
	{ "Ethernet", ethernet, TCP4 },
	{ "Ethernet, IPv6", ethernet6, TCP6 },
	{ "Ethernet, padding behind the packet is not payload", padded, TCP4 },
	{ "802.1Q", vlan, TCP4, .vlan = 100 },
	{ "802.1Q in the key", vlan, TCP4, .options.key_vlan = true, .vlan = 100, .key_vlan = 100 },
	{ "QinQ: seen is the outer tag, in the key the inner one", qinq, TCP6, .options.key_vlan = true, .vlan = 7, .key_vlan = 8 },
	{ "four tags", vlan_stack, TCP4, .options.key_vlan = true, .vlan = 1, .key_vlan = 4 },
	{ "more tags than the limit", vlan_endless, .verdict = VERDICT_DROP_TOO_NESTED, .vlan = 1 },
	{ "MPLS", mpls, TCP4 },
	{ "MPLS label in the key", mpls, TCP4, .options.key_tunnel = true, .tunnel = 18 },
	{ "MPLS multicast, IPv6", mpls6, TCP6 },
	{ "MPLS pseudowire with control word", mpls_control_word, TCP4 },
	{ "MPLS pseudowire without control word", mpls_ethernet, TCP4 },
	{ "MPLS pseudowire, address looks like IPv4", mpls_ethernet_nibble, TCP4 },
	{ "MPLS associated channel", mpls_channel, .verdict = VERDICT_NOFLOW_TUNNEL_CONTROL },
	{ "MPLS with more labels than the limit", mpls_endless, .verdict = VERDICT_DROP_TOO_NESTED },
	{ "PPPoE", pppoe, TCP4 },
	{ "PPPoE, IPv6", pppoe6, TCP6 },
	{ "PPPoE, protocol in one byte", pppoe_compressed, TCP4 },
	{ "PPPoE, LCP", pppoe_lcp, .verdict = VERDICT_NOFLOW_PPPOE_CONTROL },
	{ "PPPoE discovery", pppoe_discovery, .verdict = VERDICT_NOFLOW_PPPOE_CONTROL },
	{ "802.1ah, tags outside and inside", pbb, TCP4, .options.key_vlan = true, .options.key_tunnel = true, .vlan = 9,
		.key_vlan = 8, .tunnel = 4711 },
	{ "802.1ah inside itself", pbb_endless, .verdict = VERDICT_DROP_TOO_NESTED },
	{ "802.1ah cut", pbb_cut, .verdict = VERDICT_DROP_LINK_SHORT },
	{ "802.3 with SNAP", snap, TCP4 },
	{ "802.3 with SNAP of 802.1H", snap_bridged, TCP4 },
	{ "802.3 with SNAP of a vendor", snap_other, .verdict = VERDICT_NOFLOW_LLC },
	{ "802.3 length bounds the packet", snap_padded, TCP4 },
	{ "802.3, spanning tree", spanning_tree, .verdict = VERDICT_NOFLOW_LLC },
	{ "ARP", arp, .verdict = VERDICT_NOFLOW_ARP },
	{ "RARP", rarp, .verdict = VERDICT_NOFLOW_ARP },
	{ "LLDP", lldp, .verdict = VERDICT_NOFLOW_OTHER_ETHERTYPE },
	{ "Ethernet cut", runt, .verdict = VERDICT_DROP_LINK_SHORT },
	{ "tag cut", vlan_runt, .verdict = VERDICT_DROP_VLAN_SHORT },
	{ "label cut", mpls_runt, .verdict = VERDICT_DROP_MPLS_SHORT },
	{ "PPPoE cut", pppoe_runt, .verdict = VERDICT_DROP_PPPOE_SHORT },
	{ "Linux SLL", sll, TCP4, .link = LINK_LINUX_SLL },
	{ "Linux SLL, 802.1Q", sll_vlan, TCP6, .link = LINK_LINUX_SLL, .vlan = 9 },
	{ "Linux SLL, LLC", sll_llc, .link = LINK_LINUX_SLL, .verdict = VERDICT_NOFLOW_LLC },
	{ "Linux SLL cut", runt, .link = LINK_LINUX_SLL, .verdict = VERDICT_DROP_LINK_SHORT },
	{ "Linux SLL2", sll2, TCP6, .link = LINK_LINUX_SLL2 },
	{ "Linux SLL2 cut", runt, .link = LINK_LINUX_SLL2, .verdict = VERDICT_DROP_LINK_SHORT },
	{ "RAW, IPv4", tcp4, TCP4, .link = LINK_RAW },
	{ "RAW, IPv6", tcp6, TCP6, .link = LINK_RAW },
	{ "RAW, number 12", tcp6, TCP6, .link = LINK_RAW_BSD },
	{ "RAW, number 14", tcp4, TCP4, .link = LINK_RAW_OPENBSD },
	{ "RAW, no IP", runt, .link = LINK_RAW, .verdict = VERDICT_DROP_IP_VERSION },
	{ "RAW, nothing", nothing, .link = LINK_RAW, .verdict = VERDICT_DROP_LINK_SHORT },
	{ "IPV4", tcp4, TCP4, .link = LINK_IPV4 },
	{ "IPV4 with an IPv6 packet", tcp6, .link = LINK_IPV4, .verdict = VERDICT_DROP_IP_VERSION },
	{ "IPV6", tcp6, TCP6, .link = LINK_IPV6 },
	{ "NULL, little-endian", null_little, TCP4, .link = CASE_LINK_NULL },
	{ "NULL, big-endian, macOS IPv6", null_big, TCP6, .link = CASE_LINK_NULL },
	{ "NULL, OSI", family_osi, .link = CASE_LINK_NULL, .verdict = VERDICT_NOFLOW_OTHER_FAMILY },
	{ "NULL, EtherType in the last bytes", family_ethertype, TCP4, .link = CASE_LINK_NULL },
	{ "NULL, nothing", nothing, .link = CASE_LINK_NULL, .verdict = VERDICT_DROP_LINK_SHORT },
	{ "LOOP, family 10", family_10, TCP6, .link = LINK_LOOP },
	{ "LOOP, family 24", family_24, TCP6, .link = LINK_LOOP },
	{ "LOOP, family 28", family_28, TCP6, .link = LINK_LOOP },
	{ "LOOP, little-endian", null_little, .link = LINK_LOOP, .verdict = VERDICT_NOFLOW_OTHER_FAMILY },
	{ "a link type of another kind", ethernet, .link = 105, .verdict = VERDICT_DROP_LINK_UNSUPPORTED },
};

static void link_types__when_each_leads_to_ip_or_not__then_verdict_and_flow(void **state)
{
	(void)state;
	RUN_CASES(links);
}

static void decode_one(const struct packet_builder *b, uint16_t tpid, uint16_t tci, bool key_vlan, struct packet *packet)
{
	struct decoder_options options = { .key_vlan = key_vlan, .seed = HASH_SEED_FIXED };
	struct decoder *decoder;
	struct frame frame = pb_frame(b, LINK_ETHERNET);

	frame.vlan_tpid = tpid;
	frame.vlan_tci = tci;
	assert_int_equal(decoder_create(&options, &decoder), 0);
	*packet = case_decode(decoder, &options, &frame);
	pb_frame_free(&frame);
	decoder_destroy(decoder);
}

static void hardware_tag__when_taken_out_of_the_frame__then_as_if_it_were_there(void **state)
{
	(void)state;
	struct packet_builder plain = pb_new(), tagged = pb_new();
	struct packet with, without;

	ethernet(&plain, &ENDS);
	pb_finish(&plain);
	vlan(&tagged, &ENDS);
	pb_finish(&tagged);
	decode_one(&plain, 0x8100, 0x2000 | 100, true, &with);
	decode_one(&tagged, 0, 0, true, &without);
	assert_int_equal(with.vlan, 100);
	assert_memory_equal(&with.key, &without.key, sizeof(with.key));

	/* It is the outermost: a tag inside is the key's. */
	decode_one(&tagged, 0x88a8, 55, true, &with);
	assert_int_equal(with.vlan, 55);
	assert_int_equal(with.key.vlan, 100);
}

static void priority_tag__when_its_id_is_0__then_same_key_as_untagged(void **state)
{
	(void)state;
	struct packet_builder plain = pb_new(), tagged = pb_new();
	struct packet with, without;

	ethernet(&plain, &ENDS);
	pb_finish(&plain);
	priority_tag(&tagged, &ENDS);
	pb_finish(&tagged);
	decode_one(&tagged, 0, 0, true, &with);
	decode_one(&plain, 0, 0, true, &without);
	assert_int_equal(with.vlan, 0);
	assert_memory_equal(&with.key, &without.key, sizeof(with.key));
}

static void verdict_names__when_asked__then_each_has_one_and_others_none(void **state)
{
	(void)state;
	for (int i = 0; i < VERDICT_COUNT; i++) {
		assert_non_null(verdict_name((enum verdict)i));
		assert_non_null(verdict_text((enum verdict)i));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(verdict_name((enum verdict)i), verdict_name((enum verdict)j));
	}
	assert_string_equal(verdict_name(VERDICT_FLOW), "flow");
	assert_string_equal(verdict_name(VERDICT_DROP_TUNNEL_SHORT), "tunnel_short");
	assert_null(verdict_name(VERDICT_COUNT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(link_types__when_each_leads_to_ip_or_not__then_verdict_and_flow),
		cmocka_unit_test(hardware_tag__when_taken_out_of_the_frame__then_as_if_it_were_there),
		cmocka_unit_test(priority_tag__when_its_id_is_0__then_same_key_as_untagged),
		cmocka_unit_test(verdict_names__when_asked__then_each_has_one_and_others_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
