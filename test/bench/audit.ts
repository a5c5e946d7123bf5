import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { openAudit } from '../../src/audit/audit.ts'
import type { AuditSubject } from '../../src/audit/entry.ts'
import { openFileDevice } from '../../src/audit/file-device.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { mountOf, subjectOf, tokenOf } from '../audit/fixtures.ts'

/** CPU of the two entries of one `lookup-self`, microseconds. */
export interface AuditFigures {
  readonly sync: 'none' | 'group'
  readonly tokens: number
  readonly cpuMicros: number
  readonly wallMicros: number
}

/** What the two entries of a lookup cost, with some requests in flight at once and some tokens in use. */
export async function measureAudit ({ sync, tokens, rounds = 20_000, inFlight = 32 }: {
  sync: 'none' | 'group', tokens: number, rounds?: number, inFlight?: number
}): Promise<AuditFigures> {
  const directory = mkdtempSync(path.join(tmpdir(), 'audit-bench-'))
  const device = openFileDevice({ name: 'file', filePath: path.join(directory, 'audit.log'), sync })
  const audit = await openAudit({ devices: [device], store: createMemoryStore(), clock: Date, names: [] })
  const callers = Array.from({ length: tokens }, (_, n) => ({
    token: tokenOf({ accessor: `4f${String(n).padStart(22, 'x')}` }),
    text: `eyJ${'a'.repeat(280)}.${n}`
  }))
  const mount = mountOf({ table: 'auth', path: 'token', type: 'token' })
  const lookup = async (n: number): Promise<void> => {
    const { token, text } = callers[n % tokens] ?? { token: tokenOf({}), text: '' }
    const subject: AuditSubject = subjectOf({
      id: `7f8ad2d6-0000-4000-8000-${String(n).padStart(12, '0')}`, path: 'auth/token/lookup-self', operation: 'read',
      token, clientToken: text, mount, data: {}, policyResults: { allowed: true, grantedBy: ['default'] }
    })
    await audit.recordRequest(subject)
    await audit.recordResponse(subject, {
      data: {
        id: text, accessor: token.accessor, policies: token.policies, path: token.path, meta: token.metadata,
        display_name: token.displayName, num_uses: 0, orphan: true, creation_time: 1767225600, creation_ttl: 1200,
        expire_time: '2026-01-01T00:20:00Z', explicit_max_ttl: 0, entity_id: '', ttl: 1100, renewable: true, issue_time: '2026-01-01T00:00:00Z', type: 'service'
      }
    })
  }
  const run = async (count: number): Promise<void> => {
    let next = 0
    await Promise.all(Array.from({ length: inFlight }, async () => {
      while (next < count) await lookup(next++)
    }))
  }
  await run(rounds / 4)
  const cpu = process.cpuUsage()
  const start = performance.now()
  await run(rounds)
  const wallMicros = (performance.now() - start) * 1000 / rounds
  const used = process.cpuUsage(cpu)
  await audit.close()
  rmSync(directory, { recursive: true })
  return { sync, tokens, cpuMicros: (used.user + used.system) / rounds, wallMicros }
}

if (import.meta.main) {
  for (const sync of ['none', 'group'] as const) {
    for (const tokens of [1, 1000, 100_000]) {
      const { cpuMicros, wallMicros } = await measureAudit({ sync, tokens })
      console.log(`two entries of a lookup, sync ${sync}, ${tokens} tokens: ${cpuMicros.toFixed(1)} us CPU, ${wallMicros.toFixed(1)} us wall`)
    }
  }
}
