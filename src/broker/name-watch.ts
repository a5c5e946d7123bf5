import { mayComeFrom } from '../core/cidr.ts'
import type { Publish, TripwireEvent } from '../core/events.ts'
import { ownPath, type Mount, type Token } from '../core/model.ts'
import { createRecent } from '../core/recent.ts'
import type { Client, Rehearsal } from '../mounts/rehearsal.ts'
import type { Tripped, Tripwire } from '../mounts/tripwire.ts'
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

/** A path where nothing was found, and who asked. */
interface Probe { readonly path: string, readonly token: Token | null, readonly address: string }

const nobody = { role: null, secretIdAccessor: null, tokenAccessor: null }

/** Looks of each kind that wait, beyond which one goes unlooked at; and how often one client's use of one name is told. */
const waitingMax = 2000
const toldEveryMs = 60_000
const rememberedMax = 10_000

/**
 * Sees which names of mounts are used, by whom, after each answer is decided: a flood of requests
 * loses looks, and never an answer. Whether a path was a name once is found out in memory, for all
 * that wait at once; only what was goes on to the store, so that unknown paths displace no alarm.
 */
export function createNameWatch (options: NameWatchOptions) {
  const { tripwire, rehearsal, publish, now } = options
  const heads = createRecent<string, Identified>(rememberedMax)
  const told = createRecent<string, { atMs: number }>(rememberedMax)
  let probes: Probe[] = []
  /** The first are taken first. */
  const alarms: (() => Promise<void>)[] = []
  const uses: (() => Promise<void>)[] = []
  let working: Promise<void> | null = null
  let looking: Promise<void> | null = null
  let missed = 0

  async function work (): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    for (let look = alarms.shift() ?? uses.shift(); look !== undefined; look = alarms.shift() ?? uses.shift()) {
      await look().catch(options.onError)
    }
    working = null
  }

  function add<T> (list: T[], one: T): void {
    if (list.length < waitingMax) list.push(one)
    else missed++
  }

  function enqueue (list: (() => Promise<void>)[], look: () => Promise<void>): void {
    add(list, look)
    working ??= work()
  }

  /** After the answers that are being given. */
  async function lookAtProbes (): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    looking = null
    const all = probes
    probes = []
    for (const probe of all) {
      const tripped = tripwire.find(probe.path)
      if (tripped !== null) enqueue(alarms, () => alarm(tripped, probe))
    }
  }

  function probed (probe: Probe): void {
    add(probes, probe)
    looking ??= lookAtProbes()
  }

  /** Who is behind a token: the AppRole login at the head of its lineage, or else the token itself. */
  async function identify (token: Token | null, address: string): Promise<Identified> {
    if (token === null) return { client: { ...nobody, address }, login: null }
    const known = heads.get(token.accessor)
    if (known !== undefined) return { ...known, client: { ...known.client, address } }
    const first = token.lineage[0]
    const head = first === undefined ? null : await options.findToken(first, now())
    const made = identityOf(head !== null && roleOf(head) !== null ? head : token, address)
    heads.set(token.accessor, made)
    return made
  }

  /** An alarm does not wait for a store that is away. */
  async function identifyAnyway (token: Token | null, address: string): Promise<Identified> {
    try {
      return await identify(token, address)
    } catch (error) {
      options.onError(error)
      return token === null ? { client: { ...nobody, address }, login: null } : identityOf(token, address)
    }
  }

  function event (
    mount: Mount, name: { slot: number, replacedAtMs: number }, token: Token | null, client: Client,
    more: Pick<TripwireEvent, 'grace' | 'reaction'>
  ): TripwireEvent {
    return {
      type: 'tripwire',
      mount: ownPath(mount),
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

  /**
   * A name that is none any more was used. It is told with what was done about it. Who shows a token
   * where it is not good is not who it was given to, and cannot have it ended (SEC-102); and a name
   * whose end is not written down yet may be in grace by another broker's clock.
   */
  async function alarm (tripped: Tripped, { token, address }: Probe): Promise<void> {
    const { mount, slot } = tripped
    const isToEnd = token !== null && tripped.isWritten && mayComeFrom(token, address)
    const chosen = mount.rotation?.reaction ?? 'log'
    const least = chosen === 'log' ? 'log' : 'webhook'
    const reaction = isToEnd ? chosen : least
    const id = `${reaction}/${mount.accessor}/${slot}/${token?.accessor ?? ''}/${address}`
    if (!isDue(id)) return
    const { client, login } = await identifyAnyway(token, address)
    const tell = (done: TripwireEvent['reaction']) => publish(event(mount, tripped, token, client, { grace: 'outside', reaction: done }))
    try {
      if (token !== null && reaction !== least) {
        await options.react(culpritOf(mount, token, { client, login }, reaction), now())
      }
      tell(reaction)
    } catch (error) {
      tell(least)
      told.set(id, { atMs: Number.NEGATIVE_INFINITY })
      throw error
    }
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
        if (verdict.denial !== null && request.refusal === null) probed({ path: request.path, token, address })
      } else if (verdict.allowed && (reached?.by === 'present' || reached?.by === 'grace')) {
        const { slot } = reached
        enqueue(uses, () => use(mount, slot, token, address))
      }
    },
    /** Somebody asked what is mounted at a path where nothing is. Takes no time either. */
    probed,
    /** A client asked the resolver, and will learn of the next name. */
    resolved (mount: Mount, token: Token, address: string): void {
      if (mount.rotation?.enabled !== true) return
      enqueue(uses, async () => rehearsal.resolved(mount, (await identify(token, address)).client, now()))
    },
    /** Looks that were dropped under load. */
    missed: () => missed,
    /** Resolves when nothing waits. */
    async idle (): Promise<void> {
      while (looking !== null || working !== null) await (looking ?? working)
    }
  }
}

/** Whom a reaction ends: a login without a secret_id ends by its token. */
function culpritOf (
  mount: Mount, { accessor }: Token, { client, login }: Identified, reaction: TripwireEvent['reaction']
): Culprit {
  const isWhole = reaction === 'revoke-secret-id'
  return {
    mount: ownPath(mount),
    tokenAccessor: isWhole ? client.tokenAccessor ?? accessor : accessor,
    lineage: isWhole ? login : null
  }
}

/** What the door itself tells of: failed logins, and credentials that were leased. */
function tellOf ({ request, verdict, settled }: Seen, publish: Publish): void {
  const { mount, work } = verdict
  if (mount === null || work === null) return
  const path = ownPath(mount)
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
