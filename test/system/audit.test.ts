import t from 'tap'
import { createAuditOperations } from '../../src/system/audit.ts'
import { nowMs } from '../audit/fixtures.ts'
import { callOf } from './calls.ts'

const operations = createAuditOperations({
  audit: {
    devices: () => [{ name: 'file', type: 'file', options: { file_path: '/var/log/audit.log' } }],
    hash: (device, text) => `hmac-sha256:${device}:${text}`
  }
})
const call = callOf(operations, nowMs)

t.test('devices are listed as the contract has them', async (t) => {
  const outcome = await call('read', 'audit')
  t.same(JSON.parse(JSON.stringify(outcome)), {
    kind: 'data',
    data: { 'file/': { type: 'file', description: '', path: 'file/', local: false, options: { file_path: '/var/log/audit.log' } } }
  })
})

t.test('SEC-267 SEC-268 SEC-273 SEC-275 no device is made, changed or removed over the API', async (t) => {
  const data = { type: 'file', options: { file_path: '/etc/cron.d/x', prefix: '* * * * * root x', skip_test: 'true' } }
  await t.rejects(call('write', 'audit/*path', { captured: { path: 'other' }, data }), {
    code: 'invalid_request', message: 'cannot enable audit device via API; use declarative, config-based audit device management instead'
  })
  await t.rejects(call('write', 'audit/*path', { captured: { path: 'file' }, data }), { message: 'path already in use' })
  await t.rejects(call('delete', 'audit/*path', { captured: { path: 'file' } }), { message: 'cannot disable configuration-managed audit device' })
  t.strictSame(await call('delete', 'audit/*path', { captured: { path: 'other' } }), { kind: 'none' })
  t.ok(operations.filter(({ path }) => path === 'audit' || path === 'audit/*path').every(({ access }) => access === 'sudo'))
})

t.test('a text is hashed as the device does', async (t) => {
  t.strictSame(await call('write', 'audit-hash/*path', { captured: { path: 'file' }, data: { input: 'x' } }),
    { kind: 'data', data: { hash: 'hmac-sha256:file:x' } })
  await t.rejects(call('write', 'audit-hash/*path', { captured: { path: 'kit' }, data: { input: 'x' } }),
    { code: 'invalid_request', message: 'unknown audit backend "kit/"' })
  await t.rejects(call('write', 'audit-hash/*path', { captured: { path: 'file' } }), { code: 'invalid_request' })
})

t.test('SEC-265 guesses are slowed down; the contract asks for update, not sudo', async (t) => {
  const guess = (n: number) => call('write', 'audit-hash/*path', { captured: { path: 'file' }, data: { input: `guess ${n}` }, nowMs: nowMs + 5000 })
  const answers = await Promise.allSettled(Array.from({ length: 10_000 }, (_, n) => guess(n)))
  t.equal(answers.filter(({ status }) => status === 'fulfilled').length, 50)
  t.match(answers.at(-1), { reason: { code: 'limit_exceeded', message: 'request path "sys/audit-hash/file": rate limit quota exceeded' } })
  await call('write', 'audit-hash/*path', { captured: { path: 'file' }, data: { input: 'later' }, nowMs: nowMs + 6000 })
})
