import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import t from 'tap'
import { openAudit } from '../../src/audit/audit.ts'
import type { AuditDevice } from '../../src/audit/device.ts'
import { openFileDevice } from '../../src/audit/file-device.ts'
import type { Store } from '../../src/core/store.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { nowMs, subjectOf } from './fixtures.ts'

/** A device that keeps its lines, and fails when told to. */
function keeper (name: string) {
  const lines: string[] = []
  const state = { error: null as Error | null }
  const device: AuditDevice = {
    name,
    type: 'file',
    options: {},
    async write (line) {
      if (state.error !== null) throw state.error
      lines.push(line)
    },
    async reopen () { if (state.error !== null) throw state.error },
    async check () { if (state.error !== null) throw state.error },
    async close () {}
  }
  return { device, lines, state }
}

function audit (devices: readonly AuditDevice[], store: Store = createMemoryStore()) {
  return openAudit({ devices, store, clock: { now: () => nowMs }, names: [] })
}

const full = Object.assign(new Error('no space'), { code: 'ENOSPC' })

t.test('one test line, then one entry for each record, with the same id', async (t) => {
  const { device, lines } = keeper('file')
  const log = await audit([device])
  const subject = subjectOf()
  await log.recordRequest(subject)
  await log.recordResponse(subject, { data: { keys: ['x'] } })
  const entries = lines.map((line) => JSON.parse(line))
  t.match(entries[0], { type: 'request', request: { operation: 'update', path: 'sys/audit/test' } })
  t.strictSame(entries.slice(1).map(({ type, request }) => [type, request.id]), [['request', subject.id], ['response', subject.id]])
})

t.test('SEC-255 SEC-256 where the only device fails, both records are refused as an internal error', async (t) => {
  const { device, state } = keeper('file')
  const log = await audit([device])
  state.error = full
  const refusal = { code: 'failed', message: 'internal error' }
  await t.rejects(log.recordRequest(subjectOf()), refusal)
  await t.rejects(log.recordResponse(subjectOf(), {}), refusal)
  t.strictSame(log.status(), [{ name: 'file', failing: true, gaps: 2, reason: 'ENOSPC' }])
  state.error = null
  await log.recordRequest(subjectOf())
  t.strictSame(log.status(), [{ name: 'file', failing: false, gaps: 2, reason: 'ENOSPC' }], 'the gap stays on record')
})

t.test('SEC-257 one of two devices is enough; the other one\'s gap is counted', async (t) => {
  const one = keeper('one')
  const two = keeper('two')
  const log = await audit([one.device, two.device])
  one.state.error = full
  for (let n = 0; n < 3; n++) await log.recordRequest(subjectOf())
  t.equal(two.lines.length, 4)
  t.match(log.status(), [{ name: 'one', failing: true, gaps: 3 }, { name: 'two', failing: false, gaps: 0 }])
  two.state.error = full
  await t.rejects(log.recordRequest(subjectOf()), { code: 'failed' })
})

t.test('SEC-257 a device that is slow does not hold up one that is done', async (t) => {
  const one = keeper('one')
  const two = keeper('two')
  const slow: AuditDevice = {
    ...two.device,
    write: (line) => two.lines.length === 0 ? two.device.write(line) : new Promise(() => {})
  }
  const log = await audit([one.device, slow])
  await log.recordRequest(subjectOf())
  t.equal(one.lines.length, 2)
})

t.test('SEC-263 what cannot be written down is refused', async (t) => {
  const { device, lines } = keeper('file')
  const log = await audit([device])
  let deep = {}
  for (let n = 0; n < 5000; n++) deep = { a: deep }
  await t.rejects(log.recordRequest(subjectOf({ data: deep })), { code: 'failed', message: 'internal error' })
  await t.rejects(log.recordResponse(subjectOf(), { data: deep }), { code: 'failed' })
  t.equal(lines.length, 1)
})

t.test('SEC-266 each device has its own salt, all brokers agree on it, and no entry shows it', async (t) => {
  const store = createMemoryStore()
  const [a, b, c] = [keeper('one'), keeper('two'), keeper('one')]
  const [first, second] = await Promise.all([audit([a.device, b.device], store), audit([c.device], store)])
  t.notSame(first.hash('one', 'x'), first.hash('two', 'x'))
  t.equal(first.hash('one', 'x'), second.hash('one', 'x'))
  t.equal((await audit([keeper('one').device], store)).hash('one', 'x'), first.hash('one', 'x'), 'after a restart too')
  t.match(first.hash('one', 'x'), /^hmac-sha256:[0-9a-f]{64}$/)
  t.equal(first.hash('three', 'x'), null)
  const subject = subjectOf({ data: { name: 'x' } })
  await first.recordRequest(subject)
  t.equal(JSON.parse(a.lines.at(-1) ?? '').request.data.name, first.hash('one', 'x'))
  t.equal(JSON.parse(b.lines.at(-1) ?? '').request.data.name, first.hash('two', 'x'))
})

t.test('a device that does not take its test line stops the start', async (t) => {
  const { device, state } = keeper('file')
  state.error = full
  await t.rejects(audit([device]), { message: 'audit device "file": audit backend failed test message' })
})

t.test('without a device nothing is recorded and nothing is held up', async (t) => {
  const log = await audit([])
  await log.recordRequest(subjectOf())
  await log.recordResponse(subjectOf(), {})
  t.strictSame([log.status(), log.devices()], [[], []])
})

t.test('a failed look after a file shows in the status', async (t) => {
  const { device, state } = keeper('file')
  const log = await audit([device])
  state.error = Object.assign(new Error('gone'), { code: 'ELOOP' })
  await log.check()
  await log.reopen()
  t.match(log.status(), [{ failing: true, gaps: 0, reason: 'ELOOP' }])
})

// Each reader of the file must find every request between its two entries.
t.test('many requests at once on a real file: two whole lines each, the request first', async (t) => {
  const directory = realpathSync(mkdtempSync(path.join(tmpdir(), 'audit-test-')))
  t.teardown(() => { rmSync(directory, { recursive: true }) })
  const filePath = path.join(directory, 'audit.log')
  const log = await audit([openFileDevice({ name: 'file', filePath, sync: 'group' })])
  await Promise.all(Array.from({ length: 500 }, async (_, n) => {
    const subject = subjectOf({ id: `id-${n}` })
    await log.recordRequest(subject)
    await log.recordResponse(subject, {})
  }))
  await log.close()
  const seen = new Map<string, string[]>()
  for (const line of readFileSync(filePath, 'utf8').trimEnd().split('\n').slice(1)) {
    const { type, request: { id } } = JSON.parse(line)
    seen.set(id, [...seen.get(id) ?? [], type])
  }
  t.equal(seen.size, 500)
  t.ok([...seen.values()].every((types) => types.join() === 'request,response'))
})
