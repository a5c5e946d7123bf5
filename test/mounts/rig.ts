import { createHmac } from 'node:crypto'
import { parseCron } from '../../plugins/cron.ts'
import type { BrokerEvent } from '../../src/core/events.ts'
import type { Mount, RotationSettings } from '../../src/core/model.ts'
import { createRevision } from '../../src/core/revision.ts'
import type { Store } from '../../src/core/store.ts'
import { createMountTable, plainConfig } from '../../src/mounts/mount-table.ts'
import { createRotator, type Rotated } from '../../src/mounts/rotator.ts'
import type { NameMac } from '../../src/mounts/rotation.ts'
import { createTripwire } from '../../src/mounts/tripwire.ts'
import { lengthPrefixed } from '../../src/store/seal.ts'

export const mac: NameMac = (term, parts) => createHmac('sha256', `key ${term}`).update(lengthPrefixed(parts)).digest()

export const settings: RotationSettings = {
  prefix: 'kv-', cron: '* * * * *', graceSeconds: 60, jitterSeconds: 0, stablePath: 'never', reaction: 'log'
}

/** What of a broker makes names rotate, with a clock that is moved by hand. */
export async function createTestBroker (store: Store, nowMs: number, wrap: (store: Store) => Store = (same) => same) {
  const clock = { nowMs, calls: 0, term: 1 }
  const now = () => {
    clock.calls++
    return clock.nowMs
  }
  const wrapped = wrap(store)
  const revision = createRevision({ store: wrapped })
  const mounts = createMountTable({ store: wrapped, revision, systemTtls: { ttlSecondsDefault: 60, ttlSecondsMax: 60 }, clock: { now }, mac })
  const tripwire = createTripwire(mac)
  revision.follow(() => mounts.load())
  revision.follow(async () => tripwire.follow(mounts.all()))
  await revision.poll()
  await mounts.load()
  const events: BrokerEvent[] = []
  const journal: Rotated[] = []
  const journalling = { begins: Promise.resolve() }
  const errors: unknown[] = []
  const rotator = createRotator({
    mounts,
    clock: { now },
    mac,
    activeTerm: () => clock.term,
    parseCron,
    publish: (event) => { events.push(event) },
    journal: async (_mount, run) => {
      await journalling.begins
      journal.push(await run())
    },
    onError: (_mount, error) => { errors.push(error) }
  })

  return {
    clock,
    mounts,
    rotator,
    tripwire,
    revision,
    events,
    journal,
    /** What the next entry waits for. */
    journalling,
    errors,
    async enable (path = 'team/kv', chosen: Partial<RotationSettings> = {}): Promise<Mount> {
      const mount = await mounts.enable({
        path, table: 'secret', type: 'kv', description: '', options: null, config: plainConfig, local: false, sealWrap: false
      })
      await rotator.configure(mount, () => ({ ...settings, ...chosen }))
      return mount
    },
    mount (path = 'team/kv'): Mount {
      const mount = mounts.find('secret', path)
      if (mount === null) throw new Error('no such mount')
      return mount
    },
    name (path = 'team/kv'): string {
      return mounts.presentName(this.mount(path)) ?? ''
    },
    slot (path = 'team/kv'): number {
      return this.mount(path).rotation?.slot ?? 0
    },
    /** How a name reaches a mount now; null: not at all. */
    reach: (name: string) => mounts.resolve(`${name}/a/b`)?.reached.by ?? null
  }
}

export type TestBroker = Awaited<ReturnType<typeof createTestBroker>>
