import type { Tree } from '../http/tree.ts'
import type { Account } from '../state/world.ts'
import type { Ec2Region, Instance, InstanceStateName } from './ec2-state.ts'
import { rootDeviceName } from './images.ts'
import { instanceTypes } from './instance-types.ts'
import { tagSet, type Facets } from './query.ts'

const codes: Readonly<Record<InstanceStateName, number>> = {
  pending: 0, running: 16, 'shutting-down': 32, terminated: 48, stopping: 64, stopped: 80
}

/** A state's code and name. */
export function stateTree (name: InstanceStateName): Tree {
  return { code: codes[name], name }
}

type Facet = (instance: Instance, region: Ec2Region) => readonly (string | null)[]

/** What filters find an instance by. */
export const instanceFacets: Readonly<Record<string, Facet>> = {
  'instance-id': ({ id }) => [id],
  'instance-state-name': ({ state }) => [state],
  'instance-state-code': ({ state }) => [String(codes[state])],
  'instance-type': ({ instanceType }) => [instanceType],
  'image-id': ({ imageId }) => [imageId],
  'subnet-id': ({ subnetId }) => [subnetId],
  'vpc-id': (_instance, { vpcId }) => [vpcId],
  'availability-zone': ({ zone }) => [zone],
  'key-name': ({ keyName }) => [keyName],
  'private-ip-address': ({ privateIp }) => [privateIp],
  'ip-address': () => [],
  'reservation-id': ({ reservationId }) => [reservationId],
  'client-token': ({ clientToken }) => [clientToken],
  'instance.group-id': ({ securityGroupIds }) => securityGroupIds,
  'instance.group-name': () => ['default'],
  'iam-instance-profile.arn': ({ profileArn }) => [profileArn],
  'monitoring-state': ({ monitoring }) => [monitoring ? 'enabled' : 'disabled'],
  'block-device-mapping.volume-id': ({ volumeId }) => [volumeId],
  'network-interface.network-interface-id': ({ networkInterfaceId }) => [networkInterfaceId],
  architecture: ({ instanceType }) => [instanceTypes.get(instanceType)?.architecture ?? null],
  'launch-time': ({ launchedAtMs }) => [new Date(launchedAtMs).toISOString()],
  'root-device-name': () => [rootDeviceName],
  'root-device-type': () => ['ebs'],
  'virtualization-type': () => ['hvm'],
  hypervisor: () => ['xen'],
  tenancy: () => ['default'],
  'instance-lifecycle': () => [],
  platform: () => []
}

export function instanceFacetsOf (instance: Instance, region: Ec2Region): Facets {
  return Object.fromEntries(Object.entries(instanceFacets).map(([name, read]) => [name, read(instance, region)]))
}

/** An instance as DescribeInstances and RunInstances show it. */
export function instanceTree (instance: Instance, region: Ec2Region, account: Account, state: InstanceStateName): Tree {
  const dead = instance.state === 'terminated'
  const groups = instance.securityGroupIds.map((groupId) => ({ groupId, groupName: 'default' }))
  return {
    instanceId: instance.id,
    imageId: instance.imageId,
    instanceState: stateTree(state),
    privateDnsName: dead ? '' : `ip-${instance.privateIp.replaceAll('.', '-')}.ec2.internal`,
    dnsName: '',
    reason: dead ? 'User initiated' : '',
    keyName: instance.keyName ?? undefined,
    amiLaunchIndex: 0,
    productCodes: [],
    instanceType: instance.instanceType,
    launchTime: new Date(instance.launchedAtMs),
    placement: { availabilityZone: instance.zone, groupName: '', tenancy: 'default' },
    monitoring: { state: instance.monitoring ? 'enabled' : 'disabled' },
    ...dead ? {} : networkTree(instance, region, account, groups),
    architecture: instanceTypes.get(instance.instanceType)?.architecture ?? 'x86_64',
    rootDeviceType: 'ebs',
    rootDeviceName: rootDeviceName,
    blockDeviceMapping: dead ? [] : [{
      deviceName: rootDeviceName,
      ebs: { volumeId: instance.volumeId, status: 'attached', attachTime: new Date(instance.launchedAtMs), deleteOnTermination: instance.rootVolume.deleteOnTermination }
    }],
    virtualizationType: 'hvm',
    clientToken: instance.clientToken ?? '',
    tagSet: tagSet(region.tags.get(instance.id)),
    hypervisor: 'xen',
    iamInstanceProfile: instance.profileArn === null ? undefined : { arn: instance.profileArn, id: 'AIPAEMULATED' },
    ebsOptimized: instance.ebsOptimized,
    enaSupport: true,
    cpuOptions: { coreCount: 1, threadsPerCore: 2 },
    capacityReservationSpecification: { capacityReservationPreference: 'open' },
    hibernationOptions: { configured: false },
    metadataOptions: {
      state: 'applied', httpTokens: instance.metadataTokens, httpPutResponseHopLimit: instance.metadataHopLimit, httpEndpoint: 'enabled', httpProtocolIpv6: 'disabled', instanceMetadataTags: 'disabled'
    },
    enclaveOptions: { enabled: false },
    maintenanceOptions: { autoRecovery: 'default' },
    privateDnsNameOptions: { hostnameType: 'ip-name', enableResourceNameDnsARecord: false, enableResourceNameDnsAAAARecord: false },
    currentInstanceBootMode: 'legacy-bios'
  }
}

function networkTree (instance: Instance, region: Ec2Region, account: Account, groupSet: readonly Tree[]): Tree {
  return {
    subnetId: instance.subnetId,
    vpcId: region.vpcId,
    privateIpAddress: instance.privateIp,
    sourceDestCheck: instance.sourceDestCheck,
    groupSet,
    networkInterfaceSet: [{
      networkInterfaceId: instance.networkInterfaceId,
      subnetId: instance.subnetId,
      vpcId: region.vpcId,
      description: '',
      ownerId: account.id,
      status: 'in-use',
      privateIpAddress: instance.privateIp,
      sourceDestCheck: instance.sourceDestCheck,
      groupSet,
      attachment: {
        attachmentId: instance.networkInterfaceId.replace('eni-', 'eni-attach-'), deviceIndex: 0, networkCardIndex: 0, status: 'attached', attachTime: new Date(instance.launchedAtMs), deleteOnTermination: true
      },
      privateIpAddressesSet: [{ privateIpAddress: instance.privateIp, primary: true }],
      ipv6AddressesSet: [],
      interfaceType: 'interface'
    }]
  }
}
