import { AwsError } from '../aws-error.ts'
import type { Call, Operations } from '../call.ts'
import { readList, readTexts } from '../http/params.ts'
import type { Tree } from '../http/tree.ts'
import type { Ec2Region, Instance } from './ec2-state.ts'
import { badInstanceType, instanceTypes, type InstanceType } from './instance-types.ts'
import { instanceKeys, readInstances } from './instances.ts'
import { rootDeviceName } from './images.ts'
import { absences, missing, pageOf, passesFilters, readFilters, type Ec2Gate, type Facets } from './query.ts'

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
  rootDeviceName: () => ({ rootDeviceName: { value: rootDeviceName } }),
  blockDeviceMapping: ({ volumeId, rootVolume }) => ({
    blockDeviceMapping: [{ deviceName: rootDeviceName, ebs: { volumeId, status: 'attached', deleteOnTermination: rootVolume.deleteOnTermination } }]
  }),
  sourceDestCheck: ({ sourceDestCheck }) => ({ sourceDestCheck: { value: sourceDestCheck } }),
  groupSet: ({ securityGroupIds }) => ({ groupSet: securityGroupIds.map((groupId) => ({ groupId })) }),
  ebsOptimized: ({ ebsOptimized }) => ({ ebsOptimized: { value: ebsOptimized } }),
  enaSupport: () => ({ enaSupport: { value: true } })
}

/** Attributes, credit specifications and types: what providers read around an instance. */
export function createAttributeOperations (gate: Ec2Gate): Operations {
  return {
    DescribeInstanceAttribute (call) {
      const { params, caller: { account } } = call
      const region = account.ec2.region(call.region)
      const id = params.get('InstanceId') ?? ''
      gate.authorize(call, `arn:aws:ec2:${call.region}:${account.id}:instance/${id}`)
      gate.endDryRun(call)
      const [instance] = readInstances(region, [id])
      const name = params.get('Attribute') ?? ''
      const attribute = Object.hasOwn(attributes, name) ? attributes[name] : undefined
      if (instance === undefined || attribute === undefined) {
        throw new AwsError(400, 'InvalidParameterValue', `Value (${name.slice(0, 64)}) for parameter attribute is invalid. Unknown attribute.`)
      }
      return { result: { instanceId: id, ...attribute(instance, region) } }
    },

    ModifyInstanceAttribute (call) {
      const { params } = call
      const { id, instance, region } = openInstance(gate, call)
      const value = (name: string) => params.get(`${name}.Value`) ??
        (params.get('Attribute') === lowerFirst(name) ? params.get('Value') : undefined)
      const flag = (name: string, before: boolean) => value(name) === undefined ? before : value(name) === 'true'
      const instanceType = value('InstanceType') ?? instance.instanceType
      if (!instanceTypes.has(instanceType)) throw badInstanceType(instanceType)
      if (instanceType !== instance.instanceType && instance.state !== 'stopped') {
        throw new AwsError(400, 'IncorrectInstanceState', `The instance '${id}' is not in the 'stopped' state.`)
      }
      region.instances.set(id, {
        ...instance,
        instanceType,
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

    ModifyInstanceCreditSpecification (call) {
      const { params, caller: { account } } = call
      const region = account.ec2.region(call.region)
      const wanted = readList(params, 'InstanceCreditSpecification')
        .map((one) => ({ id: one.get('.InstanceId') ?? '', cpuCredits: one.get('.CpuCredits') ?? '' }))
      for (const { id } of wanted) {
        const known = region.instances.get(id)
        gate.authorize(call, `arn:aws:ec2:${call.region}:${account.id}:instance/${id}`,
          known === undefined ? {} : instanceKeys(known, region))
      }
      gate.endDryRun(call)
      for (const { id, cpuCredits } of wanted) {
        const [instance] = readInstances(region, [id])
        if (instance !== undefined) region.instances.set(id, { ...instance, cpuCredits })
      }
      return {
        result: {
          successfulInstanceCreditSpecificationSet: wanted.map(({ id }) => ({ instanceId: id })),
          unsuccessfulInstanceCreditSpecificationSet: []
        }
      }
    },

    ModifyInstanceMetadataOptions (call) {
      const { params } = call
      const { instance, region } = openInstance(gate, call)
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
      const filters = readFilters(call.params)
      const { items, nextToken } = pageOf(call.params, [...instanceTypes].filter(([name, type]) =>
        (wanted.length === 0 || wanted.includes(name)) && passesFilters(filters, typeFacets(name, type), new Map())))
      return {
        result: {
          instanceTypeSet: items.map(([name, type]) => typeTree(name, type)),
          nextToken
        }
      }
    }
  }
}

function lowerFirst (name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1)
}

function typeFacets (name: string, { vcpus, memoryMib, burstable, architecture }: InstanceType): Facets {
  return {
    'instance-type': [name],
    'current-generation': ['true'],
    'bare-metal': ['false'],
    'burstable-performance-supported': [String(burstable)],
    'processor-info.supported-architecture': [architecture],
    'vcpu-info.default-vcpus': [String(vcpus)],
    'memory-info.size-in-mib': [String(memoryMib)],
    'supported-usage-class': ['on-demand', 'spot'],
    'supported-virtualization-type': ['hvm'],
    'supported-root-device-type': ['ebs']
  }
}

function typeTree (instanceType: string, { vcpus, memoryMib, burstable, architecture }: InstanceType): Tree {
  return {
    instanceType,
    currentGeneration: true,
    freeTierEligible: false,
    supportedUsageClasses: ['on-demand', 'spot'],
    supportedRootDeviceTypes: ['ebs'],
    supportedVirtualizationTypes: ['hvm'],
    bareMetal: false,
    hypervisor: 'nitro',
    processorInfo: { supportedArchitectures: [architecture] },
    vCpuInfo: { defaultVCpus: vcpus, defaultCores: Math.max(1, vcpus / 2), defaultThreadsPerCore: Math.min(2, vcpus) },
    memoryInfo: { sizeInMiB: memoryMib },
    instanceStorageSupported: false,
    ebsInfo: { ebsOptimizedSupport: 'default', encryptionSupport: 'supported', nvmeSupport: 'required' },
    networkInfo: {
      networkPerformance: 'Up to 5 Gigabit', maximumNetworkInterfaces: 3, maximumNetworkCards: 1, defaultNetworkCardIndex: 0, ipv4AddressesPerInterface: 4, ipv6AddressesPerInterface: 4, ipv6Supported: true, enaSupport: 'required', efaSupported: false
    },
    placementGroupInfo: { supportedStrategies: ['partition', 'spread'] },
    hibernationSupported: false,
    burstablePerformanceSupported: burstable,
    dedicatedHostsSupported: false,
    autoRecoverySupported: true,
    supportedBootModes: ['legacy-bios', 'uefi']
  }
}

/** The instance that a call is to change, once the caller may and it is no dry run. */
function openInstance (gate: Ec2Gate, call: Call) {
  const { params, caller: { account } } = call
  const region = account.ec2.region(call.region)
  const id = params.get('InstanceId') ?? ''
  const known = region.instances.get(id)
  gate.authorize(call, `arn:aws:ec2:${call.region}:${account.id}:instance/${id}`,
    known === undefined ? {} : instanceKeys(known, region))
  gate.endDryRun(call)
  const [instance] = readInstances(region, [id])
  if (instance === undefined) throw missing(absences.instance, [id])
  return { id, instance, region }
}
