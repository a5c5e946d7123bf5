import { AwsError } from '../aws-error.ts'
import type { Operations } from '../call.ts'
import { readList, readTexts, type Params } from '../http/params.ts'
import type { Tree } from '../http/tree.ts'
import { resourceTagKeys } from '../request-context.ts'
import type { Ec2Region, Instance, RootVolume } from './ec2-state.ts'
import { rootDeviceName, rootVolumeGib } from './images.ts'
import { absences, given, missing, pageOf, passesFilters, readFilters, tagSet, type Ec2Gate, type Facets } from './query.ts'

interface VolumeType {
  readonly gibMin: number
  readonly gibMax: number
  /** What it gives when nothing is asked for; null: not chosen. */
  readonly iops: number | null
  readonly throughput: number | null
}

const volumeTypes: ReadonlyMap<string, VolumeType> = new Map([
  ['gp2', { gibMin: 1, gibMax: 16_384, iops: 100, throughput: null }],
  ['gp3', { gibMin: 1, gibMax: 65_536, iops: 3000, throughput: 125 }],
  ['io1', { gibMin: 4, gibMax: 16_384, iops: 100, throughput: null }],
  ['io2', { gibMin: 4, gibMax: 65_536, iops: 100, throughput: null }],
  ['st1', { gibMin: 125, gibMax: 16_384, iops: null, throughput: null }],
  ['sc1', { gibMin: 125, gibMax: 16_384, iops: null, throughput: null }],
  ['standard', { gibMin: 1, gibMax: 1024, iops: null, throughput: null }]
])

/** The root volume as `BlockDeviceMapping.N` of a launch wants it; other devices are not made. */
export function readRootVolume (params: Params): RootVolume {
  const mapping = readList(params, 'BlockDeviceMapping').find((one) => one.get('.DeviceName') === rootDeviceName)
  const wanted = new Map([...mapping ?? []].map(([name, value]) => [name.replace(/^\.(?:Ebs\.)?/, ''), value]))
  return sized(wanted, {
    gib: rootVolumeGib, type: 'gp3', iops: null, throughput: null, encrypted: given(wanted, 'Encrypted') === 'true', kmsKeyId: given(wanted, 'KmsKeyId') ?? null, deleteOnTermination: given(wanted, 'DeleteOnTermination') !== 'false'
  })
}

/** A volume with the size, type and speed that a request asks for. @throws AwsError InvalidParameterValue. */
function sized (wanted: Params, before: RootVolume): RootVolume {
  const name = given(wanted, 'VolumeType') ?? before.type
  const type = volumeTypes.get(name)
  if (type === undefined) throw badValue(name, 'volumeType', 'Unknown volume type.')
  const gib = numberOf(wanted, 'VolumeSize') ?? numberOf(wanted, 'Size') ?? before.gib
  if (gib < type.gibMin || gib > type.gibMax) throw badValue(String(gib), 'size', `${type.gibMin} to ${type.gibMax} GiB are allowed.`)
  const same = name === before.type
  return {
    ...before,
    gib,
    type: name,
    iops: numberOf(wanted, 'Iops') ?? (same ? before.iops : null) ?? type.iops,
    throughput: numberOf(wanted, 'Throughput') ?? (same ? before.throughput : null) ?? type.throughput
  }
}

function numberOf (params: Params, name: string): number | undefined {
  const text = given(params, name)
  if (text === undefined) return undefined
  if (!/^\d{1,7}$/.test(text)) throw badValue(text, name, 'A number is needed.')
  return Number(text)
}

function badValue (value: string, name: string, why: string): AwsError {
  return new AwsError(400, 'InvalidParameterValue', `Value (${value.slice(0, 64)}) for parameter ${name} is invalid. ${why}`)
}

/** DescribeVolumes, ModifyVolume, DescribeVolumesModifications: the root volumes of instances. */
export function createVolumeOperations (gate: Ec2Gate): Operations {
  return {
    DescribeVolumes (call) {
      gate.authorize(call)
      const { params, caller: { account } } = call
      const region = account.ec2.region(call.region)
      const filters = readFilters(params, Object.keys(facets))
      const found = readAttached(region, readTexts(params, 'VolumeId')).filter((instance) =>
        passesFilters(filters, facetsOf(instance), region.tags.get(instance.volumeId) ?? new Map()))
      const { items, nextToken } = pageOf(params, found)
      return { result: { volumeSet: items.map((instance) => volumeTree(instance, region)), nextToken } }
    },

    ModifyVolume (call) {
      const { params, caller: { account } } = call
      const region = account.ec2.region(call.region)
      const id = params.get('VolumeId') ?? ''
      gate.authorize(call, `arn:aws:ec2:${call.region}:${account.id}:volume/${id}`,
        resourceTagKeys('ec2', region.tags.get(id) ?? new Map()))
      gate.endDryRun(call)
      const [instance] = readAttached(region, [id])
      if (instance === undefined) throw missing(absences.volume, [id])
      const rootVolume = sized(params, instance.rootVolume)
      if (rootVolume.gib < instance.rootVolume.gib) {
        throw new AwsError(400, 'InvalidParameterValue', 'New size cannot be smaller than existing size')
      }
      const changed = { ...instance, rootVolume }
      region.instances.set(instance.id, changed)
      const modification = { ...modificationTree(changed, call.nowMs), modificationState: 'modifying', progress: 0 }
      return { result: { volumeModification: modification } }
    },

    DescribeVolumesModifications (call) {
      gate.authorize(call)
      const region = call.caller.account.ec2.region(call.region)
      const { items, nextToken } = pageOf(call.params, readAttached(region, readTexts(call.params, 'VolumeId')))
      return {
        result: { volumeModificationSet: items.map((one) => modificationTree(one, call.nowMs)), nextToken }
      }
    }
  }
}

/** The instances whose root volumes have these ids, or all. @throws AwsError InvalidVolume.NotFound. */
function readAttached (region: Ec2Region, ids: readonly string[]): readonly Instance[] {
  const live = [...region.instances.values()].filter(({ state }) => state !== 'terminated')
  const absent = ids.filter((id) => !live.some(({ volumeId }) => volumeId === id))
  if (absent.length > 0) throw missing(absences.volume, absent)
  return live.filter(({ volumeId }) => ids.length === 0 || ids.includes(volumeId))
}

const facets: Readonly<Record<string, (instance: Instance) => readonly string[]>> = {
  'volume-id': ({ volumeId }) => [volumeId],
  'attachment.instance-id': ({ id }) => [id],
  'attachment.device': () => [rootDeviceName],
  'attachment.status': () => ['attached'],
  'attachment.delete-on-termination': ({ rootVolume }) => [String(rootVolume.deleteOnTermination)],
  'availability-zone': ({ zone }) => [zone],
  encrypted: ({ rootVolume }) => [String(rootVolume.encrypted)],
  size: ({ rootVolume }) => [String(rootVolume.gib)],
  status: () => ['in-use'],
  'volume-type': ({ rootVolume }) => [rootVolume.type]
}

function facetsOf (instance: Instance): Facets {
  return Object.fromEntries(Object.entries(facets).map(([name, read]) => [name, read(instance)]))
}

function modificationTree ({ volumeId, rootVolume: { gib, type, iops, throughput } }: Instance, nowMs: number): Tree {
  return {
    volumeId,
    modificationState: 'completed',
    targetSize: gib,
    targetVolumeType: type,
    targetIops: iops ?? undefined,
    targetThroughput: throughput ?? undefined,
    progress: 100,
    startTime: new Date(nowMs)
  }
}

function volumeTree (instance: Instance, region: Ec2Region): Tree {
  const { volumeId, launchedAtMs, rootVolume } = instance
  return {
    volumeId,
    size: rootVolume.gib,
    snapshotId: instance.imageId.replace('ami-', 'snap-'),
    availabilityZone: instance.zone,
    status: 'in-use',
    createTime: new Date(launchedAtMs),
    attachmentSet: [{
      volumeId, instanceId: instance.id, device: rootDeviceName, status: 'attached', attachTime: new Date(launchedAtMs), deleteOnTermination: rootVolume.deleteOnTermination
    }],
    volumeType: rootVolume.type,
    iops: rootVolume.iops ?? undefined,
    throughput: rootVolume.throughput ?? undefined,
    encrypted: rootVolume.encrypted,
    kmsKeyId: rootVolume.kmsKeyId ?? undefined,
    multiAttachEnabled: false,
    tagSet: tagSet(region.tags.get(volumeId))
  }
}
