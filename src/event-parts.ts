import { createEventConnections } from '../plugins/events.ts'
import type { Audit } from './audit/audit.ts'
import type { Clock } from './core/clock.ts'
import { createEventStream, type BrokerEvent } from './core/events.ts'
import { ownPath, type Lease } from './core/model.ts'
import type { MountTable } from './mounts/mount-table.ts'
import type { PolicyStore } from './policies/policy-store.ts'
import { createEventOperations } from './system/events.ts'
import type { TokenStore } from './tokens/token-store.ts'

export interface EventPartsOptions {
  readonly clock: Clock
  readonly tokens: TokenStore
  readonly policies: PolicyStore
  readonly mounts: Pick<MountTable, 'byAccessor'>
  readonly audit: () => Audit
  /** Told of every event, for metrics. */
  readonly count: (event: BrokerEvent) => void
}

/** Puts together the stream of events, and how clients read it. */
export function createEventParts ({ clock, tokens, policies, mounts, audit, count }: EventPartsOptions) {
  const events = createEventStream({ now: () => clock.now() })
  const connections = createEventConnections({
    events,
    isAllowed: async (accessor) => {
      const live = await tokens.findByAccessor(accessor, clock.now())
      const query = { path: 'sys/events', operation: 'read', data: null, wrapTtlSeconds: null } as const
      return live !== null && policies.aclFor(live.token.policies).check(query).allowed
    }
  })
  const failing = new Set<string>()
  void countEvents()

  async function countEvents (): Promise<void> {
    for await (const { event } of events.subscribe()) count(event)
  }

  async function tellOfAudit (): Promise<void> {
    for (const device of audit().status()) {
      if (device.failing === failing.has(device.name)) continue
      if (device.failing) failing.add(device.name)
      else failing.delete(device.name)
      events.publish({ type: 'audit-degraded', device: device.name, failing: device.failing })
    }
  }

  return {
    events,
    operations: createEventOperations(connections),
    openStream: connections.open,
    leaseEnded ({ id, path, mountAccessor }: Lease): void {
      const mount = mounts.byAccessor(mountAccessor)
      const at = mount === null ? '' : ownPath(mount)
      events.publish({ type: 'lease', change: 'revoked', mount: at, leaseId: `${path}/${id}` })
    },
    jobs: [
      { name: 'end event streams', periodMs: 500, run: () => connections.check() },
      { name: 'tell of audit trouble', periodMs: 1000, run: tellOfAudit }
    ]
  }
}
