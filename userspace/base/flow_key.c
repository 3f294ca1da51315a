#include "flowlane/flow_key.h"

static int order_of(uint32_t x, uint32_t y)
{
	return (x > y) - (x < y);
}

int flow_key_compare(const struct flow_key *x, const struct flow_key *y)
{
	int order = order_of(x->proto, y->proto);

	if (!order)
		order = order_of(x->ip_version, y->ip_version);
	if (!order)
		order = memcmp(x->a_ip, y->a_ip, sizeof(x->a_ip));
	if (!order)
		order = order_of(x->a_port, y->a_port);
	if (!order)
		order = memcmp(x->b_ip, y->b_ip, sizeof(x->b_ip));
	if (!order)
		order = order_of(x->b_port, y->b_port);
	if (!order)
		order = order_of(x->vlan, y->vlan);
	if (!order)
		order = order_of(x->tunnel, y->tunnel);
	return order;
}
