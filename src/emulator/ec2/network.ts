import { AwsError } from '../aws-error.ts'
import type { Call, Operations } from '../call.ts'
import { readTexts } from '../http/params.ts'
import type { Described } from './described.ts'
import type { Ec2Region, Subnet } from './ec2-state.ts'
import { dhcpOptions, internetGateway, networkAcl, routeTable } from './routing.ts'
import {
  absences, missing, pageOf, passesFilters, readFilters, tagSet, type Absence, type Ec2Gate
} from './query.ts'

/** How a Describe call is named and answered. */
interface Kind {
  readonly idParameter: string
  readonly set: string
  readonly absence: Absence
  list (region: Ec2Region, accountId: string): readonly Described[]
}

const kinds: Readonly<Record<string, Kind>> = {
  DescribeVpcs: {
    idParameter: 'VpcId', set: 'vpcSet', absence: absences.vpc, list: (region, accountId) => [vpc(region, accountId)]
  },
  DescribeSubnets: {
    idParameter: 'SubnetId',
    set: 'subnetSet',
    absence: absences.subnet,
    list: (region, accountId) => region.subnets.map((one) => subnet(one, region, accountId))
  },
  DescribeSecurityGroups: {
    idParameter: 'GroupId', set: 'securityGroupInfo', absence: absences.securityGroup, list: (region, accountId) => [securityGroup(region, accountId)]
  },
  DescribeAvailabilityZones: {
    idParameter: 'ZoneName', set: 'availabilityZoneInfo', absence: absences.zone, list: (region) => region.subnets.map((one) => zone(one, region))
  },
  DescribeRouteTables: {
    idParameter: 'RouteTableId', set: 'routeTableSet', absence: absences.routeTable, list: (region, accountId) => [routeTable(region, accountId)]
  },
  DescribeInternetGateways: {
    idParameter: 'InternetGatewayId', set: 'internetGatewaySet', absence: absences.internetGateway, list: (region, accountId) => [internetGateway(region, accountId)]
  },
  DescribeNetworkAcls: {
    idParameter: 'NetworkAclId', set: 'networkAclSet', absence: absences.networkAcl, list: (region, accountId) => [networkAcl(region, accountId)]
  },
  DescribeDhcpOptions: {
    idParameter: 'DhcpOptionsId', set: 'dhcpOptionsSet', absence: absences.dhcpOptions, list: (region, accountId) => [dhcpOptions(region, accountId)]
  },
  DescribeKeyPairs: {
    idParameter: 'KeyName', set: 'keySet', absence: absences.keyPair, list: () => []
  }
}

/** The default network that every account has in every region; it cannot be changed. */
export function createNetworkOperations (gate: Ec2Gate): Operations {
  return {
    ...Object.fromEntries(Object.entries(kinds).map(([action, kind]) =>
      [action, (call: Call) => describe(call, kind, gate)])),

    DescribeVpcAttribute (call) {
      gate.authorize(call)
      const region = call.caller.account.ec2.region(call.region)
      const id = call.params.get('VpcId') ?? ''
      if (id !== region.vpcId) throw missing(absences.vpc, [id])
      const name = call.params.get('Attribute') ?? ''
      if (!['enableDnsSupport', 'enableDnsHostnames', 'enableNetworkAddressUsageMetrics'].includes(name)) {
        throw new AwsError(400, 'InvalidParameterValue', `Value (${name.slice(0, 64)}) for parameter attribute is invalid. Unknown attribute.`)
      }
      return { result: { vpcId: id, [name]: { value: name !== 'enableNetworkAddressUsageMetrics' } } }
    },

    DescribeAccountAttributes (call) {
      gate.authorize(call)
      const region = call.caller.account.ec2.region(call.region)
      const all: Readonly<Record<string, string>> = {
        'supported-platforms': 'VPC', 'default-vpc': region.vpcId, 'max-instances': '20', 'vpc-max-security-groups-per-interface': '5'
      }
      const wanted = readTexts(call.params, 'AttributeName')
      return {
        result: {
          accountAttributeSet: Object.entries(all)
            .filter(([name]) => wanted.length === 0 || wanted.includes(name))
            .map(([attributeName, attributeValue]) => ({ attributeName, attributeValueSet: [{ attributeValue }] }))
        }
      }
    }
  }
}

function describe (call: Call, kind: Kind, gate: Ec2Gate) {
  gate.authorize(call)
  const { params, caller: { account } } = call
  const region = account.ec2.region(call.region)
  const ids = readTexts(params, kind.idParameter)
  const all = kind.list(region, account.id)
  const absent = ids.filter((id) => !all.some((one) => one.id === id))
  if (absent.length > 0) throw missing(kind.absence, absent)
  const filters = readFilters(params)
  const found = all.filter(({ id, facets }) =>
    (ids.length === 0 || ids.includes(id)) && passesFilters(filters, facets, region.tags.get(id) ?? new Map()))
  const { items, nextToken } = pageOf(params, found)
  return {
    result: {
      [kind.set]: items.map(({ id, tree }) => ({ ...tree, tagSet: tagSet(region.tags.get(id)) })), nextToken
    }
  }
}

function vpc (region: Ec2Region, accountId: string): Described {
  const { vpcId, vpcCidr, dhcpOptionsId } = region
  return {
    id: vpcId,
    facets: {
      'vpc-id': [vpcId], cidr: [vpcCidr], 'cidr-block': [vpcCidr], state: ['available'], isDefault: ['true'], 'is-default': ['true'], 'owner-id': [accountId], 'dhcp-options-id': [dhcpOptionsId], dhcpOptionsId: [dhcpOptionsId], 'cidr-block-association.cidr-block': [vpcCidr]
    },
    tree: {
      vpcId,
      ownerId: accountId,
      state: 'available',
      cidrBlock: vpcCidr,
      cidrBlockAssociationSet: [{
        cidrBlock: vpcCidr, associationId: vpcId.replace('vpc-', 'vpc-cidr-assoc-'), cidrBlockState: { state: 'associated' }
      }],
      dhcpOptionsId,
      instanceTenancy: 'default',
      isDefault: true
    }
  }
}

function subnet (
  { id, zone: name, zoneId, cidr }: Subnet, { vpcId, name: region }: Ec2Region, accountId: string
): Described {
  return {
    id,
    facets: {
      'subnet-id': [id], 'vpc-id': [vpcId], 'availability-zone': [name], availabilityZone: [name], 'availability-zone-id': [zoneId], availabilityZoneId: [zoneId], 'cidr-block': [cidr], cidr: [cidr], cidrBlock: [cidr], 'subnet-arn': [`arn:aws:ec2:${region}:${accountId}:subnet/${id}`], state: ['available'], 'default-for-az': ['true'], defaultForAz: ['true'], 'owner-id': [accountId]
    },
    tree: {
      subnetId: id,
      subnetArn: `arn:aws:ec2:${region}:${accountId}:subnet/${id}`,
      state: 'available',
      ownerId: accountId,
      vpcId,
      cidrBlock: cidr,
      ipv6CidrBlockAssociationSet: [],
      availableIpAddressCount: 4091,
      availabilityZone: name,
      availabilityZoneId: zoneId,
      defaultForAz: true,
      mapPublicIpOnLaunch: true,
      assignIpv6AddressOnCreation: false
    }
  }
}

function securityGroup ({ securityGroupId, vpcId }: Ec2Region, accountId: string): Described {
  const everywhere = { itemName: 'item', items: [{ cidrIp: '0.0.0.0/0' }] }
  return {
    id: securityGroupId,
    facets: {
      'group-id': [securityGroupId], 'group-name': ['default'], 'vpc-id': [vpcId], 'owner-id': [accountId], description: ['default VPC security group']
    },
    tree: {
      ownerId: accountId,
      groupId: securityGroupId,
      groupName: 'default',
      groupDescription: 'default VPC security group',
      vpcId,
      ipPermissions: [{ ipProtocol: '-1', groups: [{ groupId: securityGroupId, userId: accountId }] }],
      ipPermissionsEgress: [{ ipProtocol: '-1', groups: [], ipRanges: everywhere }]
    }
  }
}

function zone ({ zone: name, zoneId }: Subnet, region: Ec2Region): Described {
  return {
    id: name,
    facets: {
      'zone-name': [name], 'zone-id': [zoneId], 'region-name': [region.name], state: ['available'], 'opt-in-status': ['opt-in-not-required'], 'zone-type': ['availability-zone']
    },
    tree: {
      zoneName: name,
      zoneId,
      zoneState: 'available',
      regionName: region.name,
      groupName: region.name,
      networkBorderGroup: region.name,
      zoneType: 'availability-zone',
      optInStatus: 'opt-in-not-required',
      messageSet: []
    }
  }
}
