import { createSweeper } from '../../src/broker/sweep.ts'
import type { EgressRules } from '../../src/core/egress.ts'
import type { BrokerEvent } from '../../src/core/events.ts'
import type { JsonObject } from '../../src/core/json.ts'
import { decodeRecord } from '../../src/core/records.ts'
import type { Store } from '../../src/core/store.ts'
import { pendingPrefix, type DeadLetter, type Delivery } from '../../src/notify/delivery.ts'
import type { Notifier } from '../../src/notify/notifier.ts'
import { createNotifiers } from '../../src/notify/notifiers.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { createNotifierOperations } from '../../src/system/notifiers.ts'
import { createTestBroker } from '../mounts/rig.ts'
import { callOf, type Asked } from '../system/calls.ts'
import type { Verb } from '../../src/core/backend.ts'

export const startMs = Date.UTC(2026, 10, 21, 12)

export interface RigOptions {
  /** Shared by brokers; one of its own unless given. */
  readonly store?: Store
  readonly wrap?: (store: Store) => Store
  readonly egress?: EgressRules
}

/** What of a broker tells notifiers, on a store in memory and with a clock that is moved by hand. */
export async function createRig (
  { store = createMemoryStore(), wrap = (same) => same, egress = { development: true, allowedHosts: [] } }: RigOptions = {}
) {
  const broker = await createTestBroker(store, startMs, wrap)
  const { clock, mounts, revision } = broker
  const now = () => clock.nowMs
  const wrapped = wrap(store)
  const dead: DeadLetter[] = []
  const errors: unknown[] = []
  const notifiers = createNotifiers({
    store: wrapped,
    revision,
    mounts,
    egress,
    now,
    nudge: () => {},
    onDead: (_notifier, letter) => { dead.push(letter) },
    onError: (error) => { errors.push(error) }
  })
  await notifiers.tick()
  const sweeper = createSweeper({
    store: wrapped, clock: { now }, handlers: new Map(notifiers.dueHandlers), onError: (_kind, error) => { errors.push(error) }
  })
  const operations = createNotifierOperations(notifiers, { aclFor: () => ({ covers: () => true, allowsAtOrBelow: () => true }) })
  const call = (verb: Verb, path: string, asked: Asked = {}) => callOf(operations, clock.nowMs)(verb, path, asked)
  let eventId = 0

  async function find (name: string): Promise<Notifier> {
    const found = await notifiers.table.find(name)
    if (found === null) throw new Error(`no notifier ${name}`)
    return found
  }

  return {
    ...broker,
    store,
    notifiers,
    dead,
    errors,
    find,
    sweep: () => sweeper.sweep(),
    call,
    /** Writes a notifier, and answers the secret where one was drawn. */
    async write (name: string, data: JsonObject): Promise<string> {
      const outcome = await call('write', 'latchkey/notifiers/:name', { data, captured: { name } })
      return outcome.kind === 'data' ? String(outcome.data?.['secret']) : ''
    },
    publish (event: BrokerEvent): void {
      notifiers.take({ id: ++eventId, atMs: clock.nowMs, event })
    },
    tick: () => notifiers.tick(),
    /** Deliveries that wait for a notifier. */
    async pending (name: string): Promise<Delivery[]> {
      const page = await store.list(pendingPrefix((await find(name)).id), { limit: 1000 })
      const keys = page.flatMap((named) => named.key ?? [])
      const deliveries: Delivery[] = []
      for (let from = 0; from < keys.length; from += 500) {
        const entries = await store.get(keys.slice(from, from + 500))
        deliveries.push(...entries.flatMap((entry) => entry === null ? [] : [decodeRecord<Delivery>(entry.value)]))
      }
      return deliveries
    },
    /** Dead letters as the API shows them. */
    async deadOf (name: string): Promise<JsonObject> {
      const outcome = await call('list', 'latchkey/notifiers/:name/dead', { captured: { name } })
      if (outcome.kind !== 'data') throw new Error('no list')
      return outcome.data ?? {}
    }
  }
}

export type Rig = Awaited<ReturnType<typeof createRig>>

export const tripwire = (more: Partial<Extract<BrokerEvent, { type: 'tripwire' }>> = {}): BrokerEvent => ({
  type: 'tripwire', mount: 'team/kv', grace: 'outside', slotsAgo: 1, ageSeconds: 60, knownClient: false, tokenAccessor: 'acc', role: 'job',
  secretIdAccessor: 'sid', address: '10.0.0.1', reaction: 'webhook', ...more
})
