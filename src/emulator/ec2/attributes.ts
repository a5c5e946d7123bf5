import { AwsError } from '../aws-error.ts'
import type { Operations } from '../call.ts'
import { readTexts } from '../http/params.ts'
import type { Tree } from '../http/tree.ts'
import type { Ec2Region, Instance } from './ec2-state.ts'
import { instanceTypes } from './instance-types.ts'
import { instanceKeys, readInstances } from './instances.ts'
import { missing, pageOf, passesFilters, readFilters, tagSet, type Ec2Gate } from './query.ts'

type Attribute = (instance: Instance, region: Ec2Region) => Tree

const attributes: Readonly<Record<string, Attribute>> = {
  instanceType: ({ instanceType }) => ({ instanceType: { value: instanceType } }),
  kernel: () => ({ kernel: {} }),
  ramdisk: () => ({ ramdisk: {} }),
  userData: ({ userData }) => ({ userData: userData === '' ? {} : { value: userData } }),
  disableApiTermination: ({ disableApiTermination }) => ({ disableApiTermination: { value: disableApiTermination } }),
  disableApiStop: ({ disableApiStop }) => ({ disableApiStop: { value: disableApiStop } }),
  instanceInitiatedShutdownBehavior: ({ shutdownBehavior }) =>
    ({ instanceInitiatedShutdownBehavior: { value: shutdownBehavior } }),
  rootDeviceName: () => ({ rootDeviceName: { value: '/dev/xvda' } }),
  blockDeviceMapping: ({ volumeId }) => ({
    blockDeviceMapping: [{ deviceName: '/dev/xvda', ebs: { volumeId, status: 'attached', deleteOnTermination: true } }]
  }),
  sourceDestCheck: ({ sourceDestCheck }) => ({ sourceDestCheck: { value: sourceDestCheck } }),
  groupSet: ({ securityGroupIds }) => ({ groupSet: securityGroupIds.map((groupId) => ({ groupId })) }),
  ebsOptimized: ({ ebsOptimized }) => ({ ebsOptimized: { value: ebsOptimized } }),
  enaSupport: () => ({ enaSupport: { value: true } })
}

/** Attributes, credit specifications, types, images and volumes: what providers read around an instance. */
export function createAttributeOperations (gate: Ec2Gate): Operations {
  return {
    DescribeInstanceAttribute (call) {
      const { params, caller: { account } } = call
      const region = account.ec2.region(call.region)
      const id = params.get('InstanceId') ?? ''
      gate.authorize(call, `arn:aws:ec2:${call.region}:${account.id}:instance/${id}`)
      const [instance] = readInstances(region, [id])
      const name = params.get('Attribute') ?? ''
      const attribute = Object.hasOwn(attributes, name) ? attributes[name] : undefined
      if (instance === undefined || attribute === undefined) {
        throw new AwsError(400, 'InvalidParameterValue', `Value (${name.slice(0, 64)}) for parameter attribute is invalid. Unknown attribute.`)
      }
      return { result: { instanceId: id, ...attribute(instance, region) } }
    },

    ModifyInstanceAttribute (call) {
      const { params, caller: { account } } = call
      const region = account.ec2.region(call.region)
      const id = params.get('InstanceId') ?? ''
      const known = region.instances.get(id)
      gate.authorize(call, `arn:aws:ec2:${call.region}:${account.id}:instance/${id}`,
        known === undefined ? {} : instanceKeys(known, region))
      const [instance] = readInstances(region, [id])
      if (instance === undefined) throw missing('InvalidInstanceID.NotFound', 'instance', [id])
      const value = (name: string) => params.get(`${name}.Value`) ??
        (params.get('Attribute') === lowerFirst(name) ? params.get('Value') : undefined)
      const flag = (name: string, before: boolean) => value(name) === undefined ? before : value(name) === 'true'
      region.instances.set(id, {
        ...instance,
        instanceType: value('InstanceType') ?? instance.instanceType,
        userData: value('UserData') ?? instance.userData,
        shutdownBehavior: value('InstanceInitiatedShutdownBehavior') ?? instance.shutdownBehavior,
        disableApiTermination: flag('DisableApiTermination', instance.disableApiTermination),
        disableApiStop: flag('DisableApiStop', instance.disableApiStop),
        ebsOptimized: flag('EbsOptimized', instance.ebsOptimized),
        sourceDestCheck: flag('SourceDestCheck', instance.sourceDestCheck)
      })
      return { result: { return: true } }
    },

    DescribeInstanceCreditSpecifications (call) {
      gate.authorize(call)
      const region = call.caller.account.ec2.region(call.region)
      const instances = readInstances(region, readTexts(call.params, 'InstanceId'))
      return {
        result: {
          instanceCreditSpecificationSet: instances
            .filter(({ cpuCredits }) => cpuCredits !== '')
            .map(({ id, cpuCredits }) => ({ instanceId: id, cpuCredits }))
        }
      }
    },

    ModifyInstanceMetadataOptions (call) {
      const { params, caller: { account } } = call
      const region = account.ec2.region(call.region)
      const id = params.get('InstanceId') ?? ''
      const known = region.instances.get(id)
      gate.authorize(call, `arn:aws:ec2:${call.region}:${account.id}:instance/${id}`,
        known === undefined ? {} : instanceKeys(known, region))
      const [instance] = readInstances(region, [id])
      if (instance === undefined) throw missing('InvalidInstanceID.NotFound', 'instance', [id])
      const changed = {
        ...instance,
        metadataTokens: params.get('HttpTokens') ?? instance.metadataTokens,
        metadataHopLimit: Number(params.get('HttpPutResponseHopLimit')) || instance.metadataHopLimit
      }
      region.instances.set(instance.id, changed)
      return {
        result: {
          instanceId: instance.id,
          instanceMetadataOptions: {
            state: 'pending', httpTokens: changed.metadataTokens, httpPutResponseHopLimit: changed.metadataHopLimit, httpEndpoint: 'enabled'
          }
        }
      }
    },

    DescribeInstanceTypes (call) {
      gate.authorize(call)
      const wanted = readTexts(call.params, 'InstanceType')
      const unknown = wanted.filter((name) => !instanceTypes.has(name))
      if (unknown.length > 0) {
        throw new AwsError(400, 'InvalidInstanceType', `The following supplied instance types do not exist: [${unknown.join(', ')}]`)
      }
      const { items, nextToken } = pageOf(call.params,
        [...instanceTypes].filter(([name]) => wanted.length === 0 || wanted.includes(name)))
      return {
        result: {
          instanceTypeSet: items.map(([instanceType, { vcpus, memoryMib, burstable, architecture }]) => ({
            instanceType,
            currentGeneration: true,
            bareMetal: false,
            hypervisor: 'nitro',
            burstablePerformanceSupported: burstable,
            supportedRootDeviceTypes: ['ebs'],
            supportedVirtualizationTypes: ['hvm'],
            processorInfo: { supportedArchitectures: [architecture] },
            vCpuInfo: { defaultVCpus: vcpus, defaultCores: 1, defaultThreadsPerCore: 2 },
            memoryInfo: { sizeInMiB: memoryMib },
            instanceStorageSupported: false,
            ebsInfo: { ebsOptimizedSupport: 'default', encryptionSupport: 'supported' },
            networkInfo: { enaSupport: 'required', maximumNetworkInterfaces: 3, ipv6Supported: true }
          })),
          nextToken
        }
      }
    },

    DescribeImages (call) {
      gate.authorize(call)
      const ids = readTexts(call.params, 'ImageId')
      const malformed = ids.find((id) => !/^ami-(?:[0-9a-f]{8}|[0-9a-f]{17})$/.test(id))
      if (malformed !== undefined) throw new AwsError(400, 'InvalidAMIID.Malformed', `Invalid id: "${malformed.slice(0, 64)}"`)
      const shown = ids.length === 0 ? ['ami-0abcdef1234567890'] : ids
      return { result: { imagesSet: shown.map(imageTree) } }
    },

    DescribeVolumes (call) {
      gate.authorize(call)
      const { params, caller: { account } } = call
      const region = account.ec2.region(call.region)
      const ids = readTexts(params, 'VolumeId')
      const live = [...region.instances.values()].filter(({ state }) => state !== 'terminated')
      const absent = ids.filter((id) => !live.some(({ volumeId }) => volumeId === id))
      if (absent.length > 0) throw missing('InvalidVolume.NotFound', 'volume', absent)
      const filters = readFilters(params)
      const facets = ({ id, volumeId, zone }: Instance) => ({
        'volume-id': [volumeId],
        'attachment.instance-id': [id],
        'attachment.device': ['/dev/xvda'],
        'availability-zone': [zone],
        status: ['in-use']
      })
      const found = live.filter((instance) => (ids.length === 0 || ids.includes(instance.volumeId)) &&
        passesFilters(filters, facets(instance), region.tags.get(instance.volumeId) ?? new Map()))
      const { items, nextToken } = pageOf(params, found)
      return { result: { volumeSet: items.map((instance) => volumeTree(instance, region)), nextToken } }
    }
  }
}

function lowerFirst (name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1)
}

/** Every well-formed image id exists. */
function imageTree (imageId: string): Tree {
  return {
    imageId,
    imageLocation: `amazon/emulated-${imageId}`,
    imageState: 'available',
    imageOwnerId: '137112412989',
    imageOwnerAlias: 'amazon',
    isPublic: true,
    architecture: 'x86_64',
    imageType: 'machine',
    name: `emulated-${imageId}`,
    rootDeviceType: 'ebs',
    rootDeviceName: '/dev/xvda',
    blockDeviceMapping: [{
      deviceName: '/dev/xvda',
      ebs: { snapshotId: imageId.replace('ami-', 'snap-'), volumeSize: 8, volumeType: 'gp3', deleteOnTermination: true, encrypted: false }
    }],
    virtualizationType: 'hvm',
    hypervisor: 'xen',
    enaSupport: true,
    creationDate: '2026-01-01T00:00:00.000Z',
    tagSet: []
  }
}

function volumeTree ({ id, volumeId, zone, launchedAtMs, imageId }: Instance, region: Ec2Region): Tree {
  return {
    volumeId,
    size: 8,
    snapshotId: imageId.replace('ami-', 'snap-'),
    availabilityZone: zone,
    status: 'in-use',
    createTime: new Date(launchedAtMs),
    attachmentSet: [{
      volumeId, instanceId: id, device: '/dev/xvda', status: 'attached', attachTime: new Date(launchedAtMs), deleteOnTermination: true
    }],
    volumeType: 'gp3',
    iops: 3000,
    throughput: 125,
    encrypted: false,
    multiAttachEnabled: false,
    tagSet: tagSet(region.tags.get(volumeId))
  }
}
