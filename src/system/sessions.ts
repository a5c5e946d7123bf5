import { operation, type Operation } from '../core/backend.ts'
import { int, text, type Input } from '../core/fields.ts'
import type { JsonObject } from '../core/json.ts'
import type { Leases } from '../leases/lease-manager.ts'
import type { Session } from '../leases/sessions.ts'
import { timestamp } from './timestamp.ts'

const fields = {
  run: text('Only sessions of this run, as the token\'s metadata `run_id` says.'),
  role: text('Only sessions of this role.'),
  lease: text('Only the session of this lease.'),
  token_accessor: text('Only sessions of this token.'),
  after: text('Go on after this session, as `next` of an earlier answer.'),
  limit: int('How many sessions to answer at most, 1 to 1000; usually 100.')
}

/**
 * `sys/latchkey/sessions`: every credential until its death, whatever became of its lease. A
 * revoked lease is gone from `sys/leases`, and its STS session is still here.
 */
export function createSessionOperations ({ leases }: { leases: Pick<Leases, 'sessions'> }): Operation[] {
  async function page (input: Input<typeof fields>) {
    const { run, role, lease, token_accessor: tokenAccessor, after = '', limit = 100 } = input
    return leases.sessions({ run, role, lease, tokenAccessor }, { after, limit: Math.min(1000, Math.max(1, limit)) })
  }

  return [
    operation({
      verb: 'read',
      path: 'latchkey/sessions',
      access: 'capability',
      summary: 'Shows the credentials that live, or may live.',
      fields,
      async run (_, input) {
        const { sessions, next } = await page(input)
        return { kind: 'data', data: { sessions: sessions.map(sessionData), next } }
      }
    }),
    operation({
      verb: 'list',
      path: 'latchkey/sessions',
      access: 'capability',
      summary: 'Lists the credentials that live, or may live.',
      fields,
      async run (_, input) {
        const { sessions, next } = await page(input)
        const about = Object.fromEntries(sessions.map((session) => [session.id, sessionData(session)]))
        return { kind: 'data', data: { keys: sessions.map(({ id }) => id), key_info: about, next } }
      }
    })
  ]
}

function sessionData (session: Session): JsonObject {
  const { record } = session
  return {
    id: session.id,
    run: record.runId,
    role: session.role,
    lease_id: session.leaseId,
    token_accessor: record.tokenAccessor,
    state: session.state,
    reason: record.reason,
    session_name: session.sessionName,
    access_key_id: session.accessKeyId,
    issue_time: timestamp(record.issuedAtMs),
    revoked_time: record.revokedAtMs === null ? null : timestamp(record.revokedAtMs),
    revocation: 'expires_at',
    dies_at: timestamp(session.diesAtMs)
  }
}
