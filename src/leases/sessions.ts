import type { JsonObject } from '../core/json.ts'
import { isJsonObject } from '../core/json.ts'
import type { Named, Store } from '../core/store.ts'
import { isHandle, leaseKey, openRecord, runSegment, wireIdOf, type LeaseRecord } from './lease-record.ts'

/** A credential that lives, or may live, whatever became of its lease. */
export interface Session {
  readonly id: string
  readonly record: LeaseRecord
  readonly role: string
  readonly leaseId: string
  /** `revoked` where the lease is over and the credential is not. */
  readonly state: LeaseRecord['state'] | 'revoked'
  readonly sessionName: string | null
  readonly accessKeyId: string | null
  /** When the credential is dead, epoch ms; for an uncertain one the latest it can be. */
  readonly diesAtMs: number
}

/** What to look for; undefined: anything. */
export interface SessionFilter {
  readonly run?: string | undefined
  readonly role?: string | undefined
  /** A lease's id as clients use it. */
  readonly lease?: string | undefined
  readonly tokenAccessor?: string | undefined
}

/** A part of the sessions in the order of their ids; go on after `next` where it is not null. */
export interface SessionPage {
  readonly sessions: readonly Session[]
  readonly next: string | null
}

/** Which part of the sessions to answer, as of when. */
export interface SessionBounds {
  readonly after: string
  readonly limit: number
  readonly nowMs: number
}

const pageSize = 500
/** Records that one call looks at before it answers what it has. */
const lookMax = 10_000

/** Every session until its death: the truth about what still works at AWS (SEC-149). */
export function createSessions ({ store }: { store: Store }) {
  /** Where sessions that may fit are listed. */
  function nameFor ({ run, tokenAccessor }: SessionFilter): { prefix: string, shard?: string } {
    const prefix = run === undefined ? 'session/' : `session-run/${runSegment(run)}/`
    return tokenAccessor === undefined ? { prefix } : { prefix, shard: tokenAccessor.slice(0, 2) }
  }

  async function readSessions (page: readonly Named[], filter: SessionFilter, nowMs: number): Promise<Session[]> {
    const entries = await store.get(page.flatMap((named) => named.key ?? []))
    return entries.filter((entry) => entry !== null)
      .map((entry) => sessionOf(openRecord(entry).record))
      .filter((session) => mayLive(session, nowMs) && fits(session, filter))
  }

  return {
    async list (filter: SessionFilter, bounds: SessionBounds): Promise<SessionPage> {
      const { lease, tokenAccessor } = filter
      if (lease !== undefined) {
        const id = lease.slice(lease.lastIndexOf('/') + 1)
        if (!isHandle(id)) return { sessions: [], next: null }
        return { sessions: await readSessions([{ name: id, key: leaseKey(id) }], filter, bounds.nowMs), next: null }
      }
      if (tokenAccessor !== undefined && !isHandle(tokenAccessor)) return { sessions: [], next: null }
      const { prefix, ...where } = nameFor(filter)
      const sessions: Session[] = []
      let after = bounds.after
      for (let looked = 0; looked < lookMax; looked += pageSize) {
        const page = await store.list(prefix, { limit: pageSize, ...where, ...(after !== '' && { after }) })
        sessions.push(...await readSessions(page, filter, bounds.nowMs))
        const wanted = sessions.slice(0, bounds.limit)
        if (sessions.length > bounds.limit) return { sessions: wanted, next: wanted.at(-1)?.id ?? null }
        if (page.length < pageSize) return { sessions, next: null }
        after = page.at(-1)?.name ?? ''
      }
      return { sessions, next: after }
    }
  }
}

function sessionOf (record: LeaseRecord): Session {
  const told = isJsonObject(record.revocation) ? record.revocation : {}
  return {
    id: record.id,
    record,
    role: textOf(told, 'role') ?? record.path.slice(record.path.lastIndexOf('/') + 1),
    leaseId: wireIdOf(record),
    state: record.revokedAtMs === null ? record.state : 'revoked',
    sessionName: textOf(told, 'sessionName'),
    accessKeyId: textOf(told, 'accessKeyId'),
    diesAtMs: record.endsAtMs
  }
}

function textOf (told: JsonObject, name: string): string | null {
  const value = told[name]
  return typeof value === 'string' ? value : null
}

/** Past its end a session counts only while somebody still tries to end it. */
function mayLive ({ state, diesAtMs }: Session, nowMs: number): boolean {
  return diesAtMs > nowMs || state === 'irrevocable' || state === 'revoking'
}

function fits ({ record, role, leaseId }: Session, filter: SessionFilter): boolean {
  return (filter.run === undefined || record.runId === filter.run) &&
    (filter.role === undefined || role === filter.role) &&
    (filter.lease === undefined || leaseId === filter.lease) &&
    (filter.tokenAccessor === undefined || record.tokenAccessor === filter.tokenAccessor)
}
