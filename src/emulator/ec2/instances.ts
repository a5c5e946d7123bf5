import { AwsError } from '../aws-error.ts'
import type { Operations } from '../call.ts'
import { readTexts, type Params } from '../http/params.ts'
import type { Tree } from '../http/tree.ts'
import { resourceTagKeys } from '../request-context.ts'
import type { Account } from '../state/world.ts'
import type { Ec2Region, Instance, InstanceStateName } from './ec2-state.ts'
import { instanceFacets, instanceFacetsOf, instanceTree, stateTree } from './instance-view.ts'
import {
  absences, given, missing, pageOf, passesFilters, readFilters, requireIds, type Ec2Gate
} from './query.ts'

const terminatedKeptMs = 3_600_000

/** DescribeInstances, DescribeInstanceStatus, and what stops, starts and ends instances. */
export function createInstanceOperations (gate: Ec2Gate): Operations {
  return {
    DescribeInstances (call) {
      gate.authorize(call)
      const { params, caller: { account } } = call
      const region = account.ec2.region(call.region)
      forgetTerminated(region, call.nowMs)
      const wanted = readInstances(region, readPagedIds(params))
      const filters = readFilters(params, Object.keys(instanceFacets))
      const found = wanted.filter((instance) =>
        passesFilters(filters, instanceFacetsOf(instance, region), region.tags.get(instance.id) ?? new Map()))
      const { items, nextToken } = pageOf(params, found)
      return { result: { reservationSet: reservations(items, region, account), nextToken } }
    },

    DescribeInstanceStatus (call) {
      gate.authorize(call)
      const { params, caller: { account } } = call
      const region = account.ec2.region(call.region)
      const all = params.get('IncludeAllInstances') === 'true'
      const found = readInstances(region, readPagedIds(params))
        .filter(({ state }) => all || state === 'running')
      const { items, nextToken } = pageOf(params, found)
      const status = { status: 'ok', details: [{ name: 'reachability', status: 'passed' }] }
      return {
        result: {
          instanceStatusSet: items.map(({ id, zone, state }) => ({
            instanceId: id,
            availabilityZone: zone,
            instanceState: stateTree(state),
            systemStatus: status,
            instanceStatus: status
          })),
          nextToken
        }
      }
    },

    TerminateInstances: transition(gate, 'terminated', 'shutting-down'),
    StopInstances: transition(gate, 'stopped', 'stopping'),
    StartInstances: transition(gate, 'running', 'pending'),

    MonitorInstances: monitoring(gate, true),
    UnmonitorInstances: monitoring(gate, false)
  }
}

/** The ids of a call that gives either ids or pages. @throws AwsError InvalidParameterCombination. */
function readPagedIds (params: Params): readonly string[] {
  const ids = readTexts(params, 'InstanceId')
  if (ids.length > 0 && given(params, 'MaxResults') !== undefined) {
    throw new AwsError(400, 'InvalidParameterCombination', 'The parameter instancesSet cannot be used with the parameter maxResults')
  }
  return ids
}

/** The instances with these ids, or all. @throws AwsError InvalidInstanceID.Malformed, InvalidInstanceID.NotFound. */
export function readInstances (region: Ec2Region, ids: readonly string[]): readonly Instance[] {
  if (ids.length === 0) return [...region.instances.values()]
  const malformed = ids.find((id) => !/^i-(?:[0-9a-f]{8}|[0-9a-f]{17})$/.test(id))
  if (malformed !== undefined) {
    throw new AwsError(400, 'InvalidInstanceID.Malformed', `Invalid id: "${malformed.slice(0, 64)}"`)
  }
  const absent = ids.filter((id) => !region.instances.has(id))
  if (absent.length > 0) throw missing(absences.instance, absent)
  return ids.flatMap((id) => region.instances.get(id) ?? [])
}

/** Condition keys of an instance that is acted on. */
export function instanceKeys (instance: Instance, region: Ec2Region) {
  return {
    ...resourceTagKeys('ec2', region.tags.get(instance.id) ?? new Map()),
    'ec2:InstanceType': [instance.instanceType],
    'ec2:AvailabilityZone': [instance.zone]
  }
}

function transition (gate: Ec2Gate, to: Instance['state'], shown: InstanceStateName): Operations[string] {
  return (call) => {
    const { account } = call.caller
    const region = account.ec2.region(call.region)
    const ids = requireIds(call.params, 'InstanceId')
    for (const id of ids) {
      const instance = region.instances.get(id)
      gate.authorize(call, `arn:aws:ec2:${call.region}:${account.id}:instance/${id}`,
        instance === undefined ? {} : instanceKeys(instance, region))
    }
    gate.endDryRun(call)
    const instances = readInstances(region, ids)
    const ended = instances.find(({ state }) => state === 'terminated')
    if (ended !== undefined && to !== 'terminated') {
      throw new AwsError(400, 'IncorrectInstanceState', `This instance '${ended.id}' is not in a state from which it can be ${to === 'stopped' ? 'stopped' : 'started'}.`)
    }
    const protectedOne = instances.find(({ disableApiTermination, disableApiStop }) =>
      (to === 'terminated' && disableApiTermination) || (to === 'stopped' && disableApiStop))
    if (protectedOne !== undefined) {
      throw new AwsError(400, 'OperationNotPermitted', `The instance '${protectedOne.id}' may not be ${to}. Modify its '${to === 'terminated' ? 'disableApiTermination' : 'disableApiStop'}' instance attribute and try again.`)
    }
    for (const instance of instances) {
      region.instances.set(instance.id, { ...instance, state: to, terminatedAtMs: to === 'terminated' ? call.nowMs : null })
    }
    return {
      result: {
        instancesSet: instances.map(({ id, state }) => ({
          instanceId: id,
          currentState: stateTree(state === to ? to : shown),
          previousState: stateTree(state)
        }))
      }
    }
  }
}

function monitoring (gate: Ec2Gate, enabled: boolean): Operations[string] {
  return (call) => {
    const { account } = call.caller
    const region = account.ec2.region(call.region)
    const ids = requireIds(call.params, 'InstanceId')
    for (const id of ids) gate.authorize(call, `arn:aws:ec2:${call.region}:${account.id}:instance/${id}`)
    gate.endDryRun(call)
    const instances = readInstances(region, ids)
    for (const instance of instances) region.instances.set(instance.id, { ...instance, monitoring: enabled })
    return {
      result: {
        instancesSet: instances.map(({ id }) => ({ instanceId: id, monitoring: { state: enabled ? 'pending' : 'disabling' } }))
      }
    }
  }
}

/** Drops what was terminated an hour ago. */
export function forgetTerminated (region: Ec2Region, nowMs: number): void {
  for (const { id, terminatedAtMs } of region.instances.values()) {
    if (terminatedAtMs === null || terminatedAtMs + terminatedKeptMs > nowMs) continue
    region.instances.delete(id)
    region.tags.delete(id)
  }
}

function reservations (instances: readonly Instance[], region: Ec2Region, account: Account): readonly Tree[] {
  return [...Map.groupBy(instances, ({ reservationId }) => reservationId)].map(([reservationId, members]) => ({
    reservationId,
    ownerId: account.id,
    groupSet: [],
    instancesSet: members.map((instance) => instanceTree(instance, region, account, instance.state))
  }))
}
