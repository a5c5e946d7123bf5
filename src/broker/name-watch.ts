import type { Publish, TripwireEvent } from '../core/events.ts'
import { requestPrefix, type Mount, type Token } from '../core/model.ts'
import { createRecent } from '../core/recent.ts'
import type { Client, Rehearsal } from '../mounts/rehearsal.ts'
import type { Tripwire } from '../mounts/tripwire.ts'
import type { Seen } from './broker.ts'
import { roleOf, secretIdOf, type Culprit } from './reaction.ts'

export interface NameWatchOptions {
  readonly tripwire: Pick<Tripwire, 'find'>
  readonly rehearsal: Rehearsal
  readonly publish: Publish
  readonly now: () => number
  /** A live token, for the head of a lineage. */
  readonly findToken: (accessor: string, nowMs: number) => Promise<Token | null>
  readonly react: (culprit: Culprit, nowMs: number) => Promise<void>
  readonly onError: (error: unknown) => void
}

/** A client with where a reaction finds it. */
interface Identified { readonly client: Client, readonly login: Culprit['lineage'] }

const nobody = { role: null, secretIdAccessor: null, tokenAccessor: null }

/** Looks that wait, beyond which the oldest goes unlooked at; and how often one client's use of one name is told. */
const waitingMax = 2000
const toldEveryMs = 60_000
const rememberedMax = 10_000

/**
 * Sees which names of mounts are used, by whom, after each answer is decided: a flood of requests
 * loses looks, and never an answer.
 */
export function createNameWatch (options: NameWatchOptions) {
  const { tripwire, rehearsal, publish, now } = options
  const heads = createRecent<string, Identified>(rememberedMax)
  const told = createRecent<string, { atMs: number }>(rememberedMax)
  const waiting: (() => Promise<void>)[] = []
  let working: Promise<void> | null = null
  let missed = 0

  async function work (): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    for (let look = waiting.shift(); look !== undefined; look = waiting.shift()) {
      try {
        await look()
      } catch (error) {
        options.onError(error)
      }
    }
    working = null
  }

  function enqueue (look: () => Promise<void>): void {
    if (waiting.length >= waitingMax) {
      waiting.shift()
      missed++
    }
    waiting.push(look)
    working ??= work()
  }

  /** Who is behind a token: the AppRole login at the head of its lineage, or else the token itself. */
  async function identify (token: Token | null, address: string): Promise<Identified> {
    if (token === null) return { client: { ...nobody, address }, login: null }
    const known = heads.get(token.accessor)
    if (known !== undefined) return { ...known, client: { ...known.client, address } }
    const first = token.lineage[0]
    const head = first === undefined ? null : await options.findToken(first, now())
    const made = identityOf(head !== null && secretIdOf(head) !== null ? head : token, address)
    heads.set(token.accessor, made)
    return made
  }

  function event (
    mount: Mount, name: { slot: number, replacedAtMs: number }, token: Token | null, client: Client,
    more: Pick<TripwireEvent, 'grace' | 'reaction'>
  ): TripwireEvent {
    return {
      type: 'tripwire',
      mount: requestPrefix(mount).slice(0, -1),
      slotsAgo: (mount.rotation?.slot ?? name.slot) - name.slot,
      ageSeconds: Math.max(0, Math.floor((now() - name.replacedAtMs) / 1000)),
      knownClient: rehearsal.knows(mount, client, name.slot),
      tokenAccessor: token?.accessor ?? null,
      role: client.role,
      secretIdAccessor: client.secretIdAccessor,
      address: client.address,
      ...more
    }
  }

  /** A path where nothing is mounted: was it a name once? */
  async function probe (path: string, token: Token | null, address: string): Promise<void> {
    const tripped = tripwire.find(path)
    if (tripped === null) return
    const { mount } = tripped
    const { client, login } = await identify(token, address)
    const reaction = token === null ? 'log' : mount.rotation?.reaction ?? 'log'
    if (!isDue(`outside/${mount.accessor}/${tripped.slot}/${token?.accessor ?? ''}/${address}`)) return
    publish(event(mount, tripped, token, client, { grace: 'outside', reaction }))
    if (token === null || reaction === 'log') return
    await options.react({ tokenAccessor: token.accessor, lineage: reaction === 'revoke-secret-id' ? login : null }, now())
  }

  async function use (mount: Mount, slot: number, token: Token | null, address: string): Promise<void> {
    const { client } = await identify(token, address)
    const past = mount.rotation?.past.find((name) => name.slot === slot)
    const isLate = past !== undefined && isDue(`inside/${mount.accessor}/${slot}/${token?.accessor ?? ''}/${address}`)
    if (isLate) publish(event(mount, past, token, client, { grace: 'inside', reaction: 'none' }))
    rehearsal.used(mount, client, slot, now())
  }

  function isDue (name: string): boolean {
    const last = told.get(name)
    if (last !== undefined && now() - last.atMs < toldEveryMs) return false
    told.set(name, { atMs: now() })
    return true
  }

  return {
    /** Takes no time: what is to be looked at is looked at after the answer. */
    see (seen: Seen): void {
      const { request, verdict } = seen
      const { mount, reached, live } = verdict
      tellOf(seen, publish)
      const token = live?.token ?? null
      const address = request.remoteAddress
      if (mount === null) {
        if (verdict.denial !== null && request.refusal === null) enqueue(() => probe(request.path, token, address))
      } else if (verdict.allowed && (reached?.by === 'present' || reached?.by === 'grace')) {
        const { slot } = reached
        enqueue(() => use(mount, slot, token, address))
      }
    },
    /** A client asked the resolver, and will learn of the next name. */
    resolved (mount: Mount, token: Token, address: string): void {
      enqueue(async () => rehearsal.resolved(mount, (await identify(token, address)).client, now()))
    },
    /** Looks that were dropped under load. */
    missed: () => missed,
    /** Resolves when nothing waits. */
    async idle (): Promise<void> {
      while (working !== null) await working
    }
  }
}

/** What the door itself tells of: failed logins, and credentials that were leased. */
function tellOf ({ request, verdict, settled }: Seen, publish: Publish): void {
  const { mount, work } = verdict
  if (mount === null || work === null) return
  const path = requestPrefix(mount).slice(0, -1)
  if (settled === null && mount.table === 'auth' && work.operation?.access === 'public') {
    publish({ type: 'login-failure', mount: path, address: request.remoteAddress })
  } else if (settled !== null && settled.confirm !== null && settled.view.leaseId !== undefined) {
    publish({ type: 'lease', change: 'issued', mount: path, leaseId: settled.view.leaseId })
  }
}

export type NameWatch = ReturnType<typeof createNameWatch>

function identityOf (token: Token, address: string): Identified {
  const secretIdAccessor = secretIdOf(token)
  const role = roleOf(token)
  return {
    client: { role, secretIdAccessor, tokenAccessor: secretIdAccessor === null ? token.accessor : null, address },
    login: secretIdAccessor === null ? null : { secretIdAccessor, mountAccessor: token.mountAccessor }
  }
}
