import type { Described } from './described.ts'
import type { Ec2Region } from './ec2-state.ts'

/** The main route table of the default network: inside, and out by its gateway. */
export function routeTable (region: Ec2Region, accountId: string): Described {
  const { routeTableId, vpcId, vpcCidr, internetGatewayId } = region
  const associationId = routeTableId.replace('rtb-', 'rtbassoc-')
  return {
    id: routeTableId,
    facets: {
      'route-table-id': [routeTableId],
      'vpc-id': [vpcId],
      'owner-id': [accountId],
      'association.main': ['true'],
      'association.route-table-id': [routeTableId],
      'association.route-table-association-id': [associationId],
      'association.subnet-id': [],
      'association.gateway-id': []
    },
    tree: {
      routeTableId,
      vpcId,
      ownerId: accountId,
      routeSet: [
        { destinationCidrBlock: vpcCidr, gatewayId: 'local', state: 'active', origin: 'CreateRouteTable' },
        { destinationCidrBlock: '0.0.0.0/0', gatewayId: internetGatewayId, state: 'active', origin: 'CreateRoute' }
      ],
      associationSet: [{
        routeTableAssociationId: associationId, routeTableId, main: true, associationState: { state: 'associated' }
      }],
      propagatingVgwSet: []
    }
  }
}

export function internetGateway ({ internetGatewayId, vpcId }: Ec2Region, accountId: string): Described {
  return {
    id: internetGatewayId,
    facets: {
      'internet-gateway-id': [internetGatewayId], 'attachment.vpc-id': [vpcId], 'attachment.state': ['available'], 'owner-id': [accountId]
    },
    tree: { internetGatewayId, ownerId: accountId, attachmentSet: [{ vpcId, state: 'available' }] }
  }
}

/** The network ACL of all subnets, which lets everything through. */
export function networkAcl (region: Ec2Region, accountId: string): Described {
  const { networkAclId, vpcId, subnets } = region
  return {
    id: networkAclId,
    facets: {
      'network-acl-id': [networkAclId], 'vpc-id': [vpcId], default: ['true'], 'owner-id': [accountId], 'association.subnet-id': subnets.map(({ id }) => id)
    },
    tree: {
      networkAclId,
      vpcId,
      ownerId: accountId,
      default: true,
      entrySet: [true, false].flatMap((egress) => [
        { ruleNumber: 100, protocol: '-1', ruleAction: 'allow', egress, cidrBlock: '0.0.0.0/0' },
        { ruleNumber: 32_767, protocol: '-1', ruleAction: 'deny', egress, cidrBlock: '0.0.0.0/0' }
      ]),
      associationSet: subnets.map(({ id }) =>
        ({ networkAclAssociationId: id.replace('subnet-', 'aclassoc-'), networkAclId, subnetId: id }))
    }
  }
}

export function dhcpOptions ({ dhcpOptionsId, name }: Ec2Region, accountId: string): Described {
  const domain = name === 'us-east-1' ? 'ec2.internal' : `${name}.compute.internal`
  return {
    id: dhcpOptionsId,
    facets: { 'dhcp-options-id': [dhcpOptionsId], 'owner-id': [accountId] },
    tree: {
      dhcpOptionsId,
      ownerId: accountId,
      dhcpConfigurationSet: [
        { key: 'domain-name', valueSet: [{ value: domain }] },
        { key: 'domain-name-servers', valueSet: [{ value: 'AmazonProvidedDNS' }] }
      ]
    }
  }
}
