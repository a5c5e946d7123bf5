import { ec2Id } from '../state/identifiers.ts'
import { defaultRegions, isRegion } from '../state/regions.ts'
import type { Vault } from '../state/vault.ts'

export type InstanceStateName = 'pending' | 'running' | 'stopping' | 'stopped' | 'shutting-down' | 'terminated'

/** What a root volume is. */
export interface RootVolume {
  readonly gib: number
  readonly type: string
  readonly iops: number | null
  readonly throughput: number | null
  readonly encrypted: boolean
  readonly kmsKeyId: string | null
  readonly deleteOnTermination: boolean
}

/** A record of an instance; no machine runs. Immutable. */
export interface Instance {
  readonly id: string
  readonly reservationId: string
  readonly imageId: string
  readonly instanceType: string
  readonly state: Extract<InstanceStateName, 'running' | 'stopped' | 'terminated'>
  readonly launchedAtMs: number
  readonly terminatedAtMs: number | null
  readonly subnetId: string
  readonly zone: string
  readonly privateIp: string
  readonly keyName: string | null
  readonly securityGroupIds: readonly string[]
  readonly profileArn: string | null
  readonly volumeId: string
  readonly rootVolume: RootVolume
  readonly networkInterfaceId: string
  readonly userData: string
  readonly clientToken: string | null
  /** A hash of the request that made it: the same client token must come with the same request. */
  readonly launchHash: string
  readonly shutdownBehavior: string
  readonly disableApiTermination: boolean
  readonly disableApiStop: boolean
  readonly ebsOptimized: boolean
  readonly sourceDestCheck: boolean
  readonly monitoring: boolean
  readonly cpuCredits: string
  readonly metadataTokens: string
  readonly metadataHopLimit: number
}

export interface Subnet {
  readonly id: string
  readonly zone: string
  readonly zoneId: string
  readonly cidr: string
}

/** One account's EC2 in one region: the default network, and what was launched. */
export interface Ec2Region {
  readonly name: string
  readonly vpcId: string
  readonly vpcCidr: string
  readonly subnets: readonly Subnet[]
  readonly securityGroupId: string
  readonly routeTableId: string
  readonly internetGatewayId: string
  readonly dhcpOptionsId: string
  readonly networkAclId: string
  readonly instances: Map<string, Instance>
  /** Tags by resource id. */
  readonly tags: Map<string, ReadonlyMap<string, string>>
}

export interface Ec2State {
  region (name: string): Ec2Region
}

/** An account's EC2. The ids of its default network depend on the vault's secret alone. */
export function createEc2State (accountId: string, vault: Vault): Ec2State {
  const regions = new Map<string, Ec2Region>()
  return {
    region (name) {
      const known = regions.get(name)
      if (known !== undefined) return known
      const made = createRegion(isRegion(name) ? name : defaultRegions[0] ?? name, accountId, vault)
      regions.set(name, made)
      return made
    }
  }
}

function createRegion (name: string, accountId: string, vault: Vault): Ec2Region {
  const id = (prefix: string, which: string) => ec2Id(prefix, vault.derive(`${prefix} ${accountId} ${name} ${which}`, 8))
  return {
    name,
    vpcId: id('vpc', 'default'),
    vpcCidr: '172.31.0.0/16',
    subnets: ['a', 'b', 'c'].map((letter, index) => ({
      id: id('subnet', letter),
      zone: `${name}${letter}`,
      zoneId: `${shortName(name)}-az${index + 1}`,
      cidr: `172.31.${16 * index}.0/20`
    })),
    securityGroupId: id('sg', 'default'),
    routeTableId: id('rtb', 'main'),
    internetGatewayId: id('igw', 'default'),
    dhcpOptionsId: id('dopt', 'default'),
    networkAclId: id('acl', 'default'),
    instances: new Map(),
    tags: new Map()
  }
}

/** `us-east-1` as zone ids have it: `use1`. */
function shortName (region: string): string {
  const [area = '', place = '', number = ''] = region.split('-')
  return area + place.replaceAll(/north|south|east|west|central/g, (word) => word.charAt(0)) + number
}
