import { AwsError } from '../aws-error.ts'
import type { Call, Operations } from '../call.ts'
import { readList } from '../http/params.ts'
import { requestTagKeys, resourceTagKeys } from '../request-context.ts'
import type { Ec2Region } from './ec2-state.ts'
import { absences, missing, pageOf, passesFilters, readEc2Tags, readFilters, requireIds, type Absence, type Ec2Gate } from './query.ts'

interface Taggable {
  readonly type: string
  readonly absence: Absence
}

/** What can have tags here, by the prefix of its id. */
const taggable: ReadonlyMap<string, Taggable> = new Map([
  ['i', { type: 'instance', absence: absences.instance }],
  ['vol', { type: 'volume', absence: absences.volume }],
  ['eni', { type: 'network-interface', absence: absences.networkInterface }],
  ['vpc', { type: 'vpc', absence: absences.vpc }],
  ['subnet', { type: 'subnet', absence: absences.subnet }],
  ['sg', { type: 'security-group', absence: absences.securityGroup }]
])

const tagsMax = 50

/** CreateTags, DeleteTags, DescribeTags. */
export function createTagOperations (gate: Ec2Gate): Operations {
  return {
    CreateTags (call) {
      const region = call.caller.account.ec2.region(call.region)
      const tags = readEc2Tags(call.params, 'Tag')
      if (tags.length === 0) throw new AwsError(400, 'MissingParameter', 'The request must contain the parameter Tag')
      const ids = authorizeEach(call, gate, region, tags)
      const merged = ids.map((id) => [id, new Map([...region.tags.get(id) ?? [], ...tags])] as const)
      const full = merged.find(([, all]) => all.size > tagsMax)
      if (full !== undefined) throw new AwsError(400, 'TagLimitExceeded', `The maximum number of tags for '${full[0]}' is ${tagsMax}.`)
      for (const [id, all] of merged) region.tags.set(id, all)
      return { result: { return: true } }
    },

    DeleteTags (call) {
      const region = call.caller.account.ec2.region(call.region)
      const gone = readList(call.params, 'Tag').map((tag) => ({ key: tag.get('.Key') ?? '', value: tag.get('.Value') }))
      const ids = authorizeEach(call, gate, region, gone.map(({ key, value }) => [key, value ?? ''] as const))
      for (const id of ids) {
        region.tags.set(id, new Map([...region.tags.get(id) ?? []].filter(([key, value]) => !gone.some((one) =>
          one.key === key && (one.value === undefined || one.value === value)))))
      }
      return { result: { return: true } }
    },

    DescribeTags (call) {
      gate.authorize(call)
      const region = call.caller.account.ec2.region(call.region)
      const all = [...region.tags].flatMap(([id, tags]) => [...tags].map(([key, value]) =>
        ({ resourceId: id, resourceType: typeOf(id), key, value })))
      const filters = readFilters(call.params)
      const found = all.filter(({ resourceId, resourceType, key, value }) => passesFilters(filters, {
        'resource-id': [resourceId], 'resource-type': [resourceType], key: [key], value: [value]
      }, new Map([[key, value]])))
      const { items, nextToken } = pageOf(call.params, found)
      return { result: { tagSet: items, nextToken } }
    }
  }
}

function authorizeEach (
  call: Call, gate: Ec2Gate, region: Ec2Region, tags: readonly (readonly [string, string])[]
): readonly string[] {
  const ids = requireIds(call.params, 'ResourceId')
  for (const id of ids) {
    gate.authorize(call, `arn:aws:ec2:${call.region}:${call.caller.account.id}:${typeOf(id)}/${id}`, {
      ...requestTagKeys(tags), ...resourceTagKeys('ec2', region.tags.get(id) ?? new Map())
    })
  }
  gate.endDryRun(call)
  const absent = ids.find((id) => !exists(id, region))
  if (absent === undefined) return ids
  const absence = findTaggable(absent)?.absence
  if (absence === undefined) throw new AwsError(400, 'InvalidID', `The ID '${absent.slice(0, 64)}' is not valid`)
  throw missing(absence, [absent])
}

function findTaggable (id: string): Taggable | undefined {
  return taggable.get(id.slice(0, Math.max(0, id.indexOf('-'))))
}

function typeOf (id: string): string {
  return findTaggable(id)?.type ?? 'unknown'
}

function exists (id: string, region: Ec2Region): boolean {
  return id === region.vpcId || id === region.securityGroupId || region.subnets.some((subnet) => subnet.id === id) ||
    [...region.instances.values()].some((instance) =>
      [instance.id, instance.volumeId, instance.networkInterfaceId].includes(id))
}
