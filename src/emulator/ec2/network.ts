import type { Operations } from '../call.ts'
import type { Tree } from '../http/tree.ts'
import type { Ec2Region } from './ec2-state.ts'
import type { Ec2Gate } from './query.ts'

/** The default network that every account has in every region. */
export function createNetworkOperations (gate: Ec2Gate): Operations {
  return {
    DescribeVpcs (call) {
      gate.authorize(call)
      const { account } = call.caller
      return { result: { vpcSet: [vpcTree(account.ec2.region(call.region), account.id)] } }
    }
  }
}

function vpcTree (region: Ec2Region, accountId: string): Tree {
  return {
    vpcId: region.vpcId,
    ownerId: accountId,
    state: 'available',
    cidrBlock: region.vpcCidr,
    dhcpOptionsId: region.dhcpOptionsId,
    instanceTenancy: 'default',
    isDefault: true
  }
}
