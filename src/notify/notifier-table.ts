import { BrokerError } from '../core/errors.ts'
import { decodeRecord, encodeRecord } from '../core/records.ts'
import { retryConflicts } from '../core/retry.ts'
import type { Revision } from '../core/revision.ts'
import { key, StoreIntegrity, SYS, type Key, type Stamp, type Store } from '../core/store.ts'
import type { Notifier } from './notifier.ts'

const notifierKey = (name: string) => key(SYS, `notifier/${name}`)
const goneKey = (id: string) => key(SYS, `notifier-gone/${id}`)

const notifiersMax = 50
/** Longer than another broker may go on to write for a notifier that was removed. */
const clearAfterMs = 10_000

/** All notifiers, in memory, in step with the other brokers. */
export interface NotifierTable {
  /** Those that can be read are in force as they are, also where another cannot. @throws StoreIntegrity for that one */
  load (): Promise<void>
  /** As of the last load. */
  all (): readonly Notifier[]
  /** All names, as the store has them now. */
  names (): Promise<string[]>
  /** As the store has it now. */
  find (name: string): Promise<Notifier | null>
  /**
   * Stores what `edit` makes of a notifier, null where there is none; decides anew whenever somebody
   * was quicker. Nothing is written where it answers the notifier as it is, or null.
   * @throws BrokerError `limit_exceeded` for one too many
   */
  change (name: string, edit: (present: Notifier | null) => Notifier | null): Promise<void>
  /** Removes a notifier; what it still had to tell, and its dead letters, go with it. */
  remove (name: string, nowMs: number): Promise<void>
}

export function createNotifierTable ({ store, revision }: {
  readonly store: Store
  readonly revision: Pick<Revision, 'commit'>
}): NotifierTable {
  let notifiers: readonly Notifier[] = []

  async function read (name: string): Promise<{ notifier: Notifier, stamp: Stamp } | null> {
    const [entry] = await store.get([notifierKey(name)])
    return entry ? { notifier: decodeRecord<Notifier>(entry.value), stamp: entry.stamp } : null
  }

  /** One that cannot be read is as it was last known, if it was. */
  async function readOne (at: Key): Promise<{ notifier: Notifier | null, failure: StoreIntegrity | null }> {
    try {
      const [entry] = await store.get([at])
      return { notifier: entry ? decodeRecord<Notifier>(entry.value) : null, failure: null }
    } catch (error) {
      if (!(error instanceof StoreIntegrity)) throw error
      return { notifier: notifiers.find(({ name }) => notifierKey(name) === at) ?? null, failure: error }
    }
  }

  return {
    async load () {
      const page = await store.list('notifier/', { shard: SYS, limit: 1000 })
      const all = await Promise.all(page.flatMap((named) => named.key ?? []).slice(0, 500).map(readOne))
      notifiers = all.flatMap(({ notifier }) => notifier ?? [])
      const failed = all.find(({ failure }) => failure !== null)
      if (failed !== undefined) throw failed.failure
    },
    all: () => notifiers,
    names: async () => (await store.list('notifier/', { shard: SYS, limit: 1000 })).map(({ name }) => name),
    find: async (name) => (await read(name))?.notifier ?? null,
    async change (name, edit) {
      await retryConflicts(async () => {
        const found = await read(name)
        const edited = edit(found?.notifier ?? null)
        if (edited === null || edited === found?.notifier) return
        if (found === null && notifiers.length >= notifiersMax) {
          throw new BrokerError('limit_exceeded', `there are ${notifiersMax} notifiers, which is as many as there may be`)
        }
        await revision.commit([{
          op: 'put', key: notifierKey(name), value: encodeRecord(edited), names: [`notifier/${name}`], expect: found?.stamp ?? 'absent'
        }])
      })
    },
    async remove (name, nowMs) {
      await retryConflicts(async () => {
        const found = await read(name)
        if (found === null) return
        const { id } = found.notifier
        await revision.commit([
          { op: 'delete', key: notifierKey(name), expect: found.stamp },
          { op: 'put', key: goneKey(id), value: encodeRecord({ id }), dueAtMs: nowMs + clearAfterMs }
        ])
      })
    }
  }
}
