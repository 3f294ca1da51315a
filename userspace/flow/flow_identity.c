#include "flow_identity.h"

#include "poison.h"

void flow_init(struct flow *flow, const struct packet *packet)
{
	flow_begin(flow, packet, false);
}
