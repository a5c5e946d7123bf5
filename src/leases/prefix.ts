import { handleIn, drawShard } from '../core/ids.ts'
import { decodeRecord, encodeRecord } from '../core/records.ts'
import { key, StoreConflict, type Entry, type Named, type Put, type Store } from '../core/store.ts'
import type { Clock } from '../core/clock.ts'
import { placesOf, type Place } from './places.ts'
import type { LeaseMounts, LeaseTokens } from './ports.ts'
import { joinEnded, nothingEnded, type Ended, type Manner, type Revocation } from './revocation.ts'

/** A revocation that goes on after its answer, durable until it is through. */
interface PrefixRecord {
  readonly id: string
  readonly places: readonly Place[]
  /** Where in the first place to go on. */
  readonly after: string | null
}

export interface PrefixOptions {
  readonly store: Store
  readonly clock: Clock
  readonly mounts: LeaseMounts
  readonly tokens: LeaseTokens
  readonly revocation: Revocation
  readonly pace: (count: number) => Promise<void>
}

/** How much of a list to work through. */
interface Bounds {
  readonly limit: number
  readonly shard?: string
}

const batch = 50
/** Leases that one turn of the queue ends before it notes how far it came. */
const turn = 1000

/** Ends leases and tokens by where they are listed, 50 at a time and paced. */
export function createPrefixRevocation ({ store, clock, mounts, tokens, revocation, pace }: PrefixOptions) {
  async function endPage (page: readonly Named[], kind: Place['kind'], manner: Manner): Promise<Ended> {
    await pace(page.length)
    if (kind === 'lease') return revocation.endKeys(page.flatMap((named) => named.key ?? []), manner)
    for (const { name } of page) await tokens.revoke(name.slice(name.lastIndexOf('/') + 1), clock.now())
    return nothingEnded
  }

  /** Ends what is listed below a name, from a name on; `after` is null when it is through. */
  async function endListed (
    { kind, names }: Place, from: string | null, manner: Manner, { limit, ...where }: Bounds
  ): Promise<{ ended: Ended, after: string | null }> {
    let after = from
    let ended = nothingEnded
    for (let seen = 0; seen < limit; seen += batch) {
      const page = await store.list(names, { limit: batch, ...where, ...(after !== null && { after }) })
      ended = joinEnded(ended, await endPage(page, kind, manner))
      const last = page.at(-1)
      if (last === undefined || page.length < batch) return { ended, after: null }
      after = last.name
    }
    return { ended, after }
  }

  async function endPlaces (places: readonly Place[], manner: Manner): Promise<Ended> {
    let all = nothingEnded
    for (const place of places) {
      const { ended } = await endListed(place, null, manner, { limit: Infinity })
      all = joinEnded(all, ended)
    }
    return all
  }

  const putQueued = (record: PrefixRecord, shard: string, nowMs: number): Put =>
    ({ op: 'put', key: key(shard, `lease-prefix/${record.id}`), value: encodeRecord(record), dueAtMs: nowMs })

  /** One turn of a queued revocation. Somebody else may be at it too: all of it bears repeating. */
  async function advance (entry: Entry): Promise<void> {
    const record = decodeRecord<PrefixRecord>(entry.value)
    const [place, ...others] = record.places
    if (place === undefined) {
      await store.commit([{ op: 'delete', key: entry.key }])
      return
    }
    const { after } = await endListed(place, record.after, 'revoke', { limit: turn })
    const next: PrefixRecord = after === null ? { ...record, places: others, after: null } : { ...record, after }
    await store.commit([{ ...putQueued(next, record.id.slice(0, 2), clock.now()), expect: entry.stamp }])
      .catch((error: unknown) => {
        if (!(error instanceof StoreConflict)) throw error
      })
  }

  return {
    /** Ends everything below a prefix. */
    endPrefix: (prefix: string, manner: Manner) => endPlaces(placesOf(mounts, prefix), manner),
    /** Ends everything of a mount: leases, and tokens of its logins and of answers of it that were wrapped. */
    endMount: ({ accessor }: { readonly accessor: string }) =>
      endPlaces((['token', 'lease'] as const).map((kind) => ({ kind, names: `${kind}/${accessor}/`, folder: '' })), 'revoke'),
    /** Ends the leases of a token, all in its shard. */
    endOf: async (accessor: string) => {
      const place: Place = { kind: 'lease', names: `lease-of/${accessor}/`, folder: '' }
      const { ended } = await endListed(place, null, 'revoke', { limit: Infinity, shard: accessor.slice(0, 2) })
      return ended
    },
    /** Notes durably that everything below a prefix shall end. */
    async queuePrefix (prefix: string) {
      const shard = drawShard()
      const record: PrefixRecord = { id: handleIn(shard), places: placesOf(mounts, prefix), after: null }
      await store.commit([putQueued(record, shard, clock.now())], { strong: true })
    },
    async advanceQueue (entries: readonly Entry[]) {
      for (const entry of entries) await advance(entry)
    }
  }
}
