import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import type { JsonObject } from '../../src/core/json.ts'
import { auditFaults, createFolder, createRole, rootToken, startAws, startBroker, wrapOf, type AuditLine } from '../helpers/broker.ts'
import { until } from '../helpers/redis.ts'

/** A file system of 64 KiB of a test's own; null where this process may not mount one. */
function mountSmall (t: Test): string | null {
  const folder = createFolder(t)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=0700', 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    return null
  }
  t.teardown(() => { execFileSync('umount', ['-l', folder]) })
  return folder
}

/** Fills a file system to the last byte; answers how to make room again. */
function fill (folder: string): () => void {
  const file = path.join(folder, 'filler')
  for (let bytes = 4096; bytes >= 1; bytes = Math.floor(bytes / 4)) {
    for (let full = false; !full;) {
      try {
        writeFileSync(file, Buffer.alloc(bytes), { flag: 'a' })
      } catch {
        full = true
      }
    }
  }
  return () => rmSync(file)
}

const linesOf = (file: string) => readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as AuditLine)

t.test('SEC-255 SEC-256 SEC-269 a full audit device', async (t) => {
  const small = mountSmall(t)
  if (small === null) {
    t.comment('this process may not mount a small file system, so a full disk was not tried')
    return
  }
  const emulator = await startAws(t)
  const broker = await startBroker(t, { emulator, settings: { LATCHKEY_AUDIT_FILE: path.join(small, 'audit.log') } })
  const role = await createRole(broker, 'full', { token_policies: 'default' })
  const { secretId } = await role.secretId({ num_uses: 2 })
  const { body: { wrap_info: wrapped } } = await broker.must('POST', 'sys/wrapping/wrap', { body: { secret: 'kept' }, headers: { 'x-vault-wrap-ttl': '300' } })
  const refusal = '{"errors":["internal error"]}'

  t.test('nothing is done while no request can be written down', async (t) => {
    const makeRoom = fill(small)
    // The last page of the log itself takes a few more entries; the shortest one is refused last.
    await until('the log is full', async () => (await broker.ask('GET', 'x', { token: null })).status === 500)
    const calls = emulator.trail().length
    const attempts: [string, string, JsonObject?, (string | null)?][] = [
      ['GET', 'sys/mounts'], ['PUT', 'sys/policies/acl/never', { policy: 'path "a" { capabilities = ["read"] }' }], ['GET', 'aws/creds/ec2-only'],
      ['POST', 'auth/approle/login', { role_id: role.roleId, secret_id: secretId }, null], ['POST', 'sys/wrapping/unwrap', {}, wrapped?.token ?? ''],
      ['POST', 'auth/token/create', {}]
    ]
    for (let round = 0; round < 5; round++) {
      for (const [method, target, body, token = rootToken] of attempts) {
        const answer = await broker.ask(method, target, { token, ...(body !== undefined && { body }) })
        t.strictSame([answer.status, answer.text], [500, refusal], target)
      }
    }
    t.equal((await broker.ask('GET', 'sys/health', { token: null })).status, 200, 'health still answers')
    t.equal(emulator.trail().length, calls, 'STS was not asked')
    makeRoom()
    t.equal((await broker.ask('GET', 'sys/policies/acl/never')).status, 404)
    t.equal((await broker.ask('POST', 'sys/wrapping/unwrap', { token: wrapped?.token ?? '' })).body.data?.['secret'], 'kept')
    t.equal((await role.login(secretId)).status, 200, 'SEC-078 its uses are still there')
    t.equal((await role.login(secretId)).status, 200)
  })

  t.test('what cannot be answered is not given out: the session of a vend is held as an orphan', async (t) => {
    const before = emulator.trail({ eventName: 'AssumeRole' }).length
    emulator.faults.add({ kind: 'slow', delayMs: 1500, match: { action: 'AssumeRole' } })
    const asked = broker.ask('GET', 'aws/creds/ec2-only')
    await until('STS was asked', async () => emulator.faults.list().every(({ hits }) => hits > 0))
    const makeRoom = fill(small)
    const answer = await asked
    t.strictSame([answer.status, answer.text], [500, refusal])
    t.ok(emulator.trail({ eventName: 'AssumeRole' }).length > before, 'the session was made')
    makeRoom()
    const { body } = await broker.must('GET', 'sys/latchkey/sessions')
    t.match(body.data?.['sessions'], [{ state: 'orphan', role: 'ec2-only' }])
  })

  t.test('the log has no torn line', async (t) => {
    t.ok(linesOf(path.join(small, 'audit.log')).length > 10)
  })
})

t.test('the audit log', async (t) => {
  const emulator = await startAws(t)
  const broker = await startBroker(t, { emulator })

  t.test('SEC-259 what is refused early is written down all the same', async (t) => {
    const attempts: [number, () => ReturnType<typeof broker.ask>][] = [
      [400, () => broker.ask('PUT', 'cubbyhole/x', { body: '{"broken' })],
      [400, () => broker.ask('GET', 'cubbyhole/%00')],
      [404, () => broker.ask('GET', 'nowhere/at/all')],
      [405, () => broker.ask('PATCH', 'sys/policies/acl/default', { body: {}, headers: { 'content-type': 'application/merge-patch+json' } })],
      [405, () => broker.ask('OPTIONS', 'sys/mounts')],
      [413, () => broker.ask('POST', 'auth/approle/login', { token: null, body: 'x'.repeat(100_000) })],
      [415, () => broker.ask('PATCH', 'sys/mounts', { body: {}, headers: { 'content-type': 'text/plain' } })],
      [415, () => broker.ask('PUT', 'cubbyhole/x', { body: '{}', headers: { 'content-encoding': 'gzip' } })],
      [403, () => broker.ask('GET', 'sys/mounts', { token: null })],
      [404, () => broker.ask('GET', 'sys/mounts', { headers: { 'x-vault-namespace': 'other' } })]
    ]
    for (const [status, ask] of attempts) {
      const before = broker.audit().length
      const answer = await ask()
      t.equal(answer.status, status, answer.text)
      t.strictSame(broker.audit().slice(before).map(({ type }) => type), ['request', 'response'], String(status))
    }
  })

  t.test('SEC-260 SEC-261 SEC-264 SEC-278 no place of a request brings a secret, or a line of its own, into the log', async (t) => {
    const canary = () => `CNRY${Math.random().toString(36).slice(2).padEnd(24, 'x')}`
    const marks: string[] = []
    const mark = () => {
      const text = canary()
      marks.push(text)
      return text
    }
    const { client_token: token } = await broker.tokenFor('path "*" { capabilities = ["create", "read", "update", "delete", "list"] }')
    await broker.ask('PUT', 'cubbyhole/place', { token, body: { [mark()]: mark(), list: [[mark()], { [mark()]: mark() }], number: `${mark()}` } })
    await broker.ask('GET', `cubbyhole/place?${mark()}=${mark()}`, { token })
    await broker.ask('GET', `${mark()}/${mark()}`, { token })
    await broker.ask('PUT', 'cubbyhole/broken', { token, body: `{"a":"${mark()}"` })
    await broker.ask('PUT', 'cubbyhole/raw', { token, body: mark() })
    await broker.ask('POST', 'auth/approle/login', { token: null, body: { role_id: mark(), secret_id: mark() } })
    await broker.ask('POST', 'auth/approle/login', { token: null, body: `role_id=${mark()}&secret_id=${mark()}`, headers: { 'content-type': 'application/x-www-form-urlencoded' } })
    await broker.ask('POST', 'aws/config/root', { token, body: { secret_key: mark(), access_key: mark(), sts_endpoint: `https://${mark()}.example` } })
    await broker.ask('POST', 'sys/wrapping/wrap', { token, body: { [mark()]: mark() }, headers: { 'x-vault-wrap-ttl': '60' } })
    await broker.ask('GET', 'sys/mounts', { token: mark() })
    await broker.ask('POST', 'sys/wrapping/unwrap', { token, body: { token: mark() } })
    await broker.ask('PUT', 'sys/leases/lookup', { token, body: { lease_id: mark() } })
    await broker.ask('POST', 'auth/token/lookup', { token, body: { token: mark() } })
    await broker.ask('POST', 'auth/token/create', { body: { policies: ['default'], meta: { note: mark() }, id: mark() } })
    await broker.ask('PUT', `sys/policies/acl/odd`, { token, body: { policy: `path "${mark()}" { capabilities = ["${mark()}"] }` } })
    await broker.ask('GET', 'sys/mounts', {
      token, headers: {
        'x-unknown': mark(), 'user-agent': mark(), cookie: mark(), 'content-type': mark(), authorization: `Bearer ${mark()}`,
        'x-request-id': mark(), traceparent: mark(), 'x-forwarded-for': mark(), 'x-vault-namespace': mark(), 'x-vault-wrap-ttl': mark(), referer: mark()
      }
    })
    await broker.ask('PUT', 'cubbyhole/lines', { token, body: { 'a\r\n{"type":"request"}': '\u001b[31m\u2028\u0000' }, headers: { 'user-agent': 'x\ty' } })
    t.strictSame(auditFaults(broker, marks), [])
    t.strictSame(marks.filter((text) => broker.output().includes(text)), [], 'nor into the log of the process')
    t.match(broker.auditText(), /^[\x20-\x7e\n]*$/)
  })

  t.test('SEC-265 SEC-266 SEC-267 SEC-273 devices are the operator\'s: not made, moved or removed over the API, and salts are not shown', async (t) => {
    for (const filePath of ['/etc/cron.d/x', '../x', '/tmp/x', 'stdout', '/dev/null']) {
      for (const name of ['new', 'file']) {
        const answer = await broker.ask('PUT', `sys/audit/${name}`, { body: { type: 'file', options: { file_path: filePath, mode: '0777', prefix: 'x', skip_test: 'true', log_raw: 'true' } } })
        t.equal(answer.status, 400, `${name} ${filePath}`)
      }
    }
    t.equal((await broker.ask('DELETE', 'sys/audit/file')).status, 400)
    t.notMatch((await broker.must('GET', 'sys/audit')).text, /salt|hmac|key"/i)
    const { body: { data } } = await broker.must('POST', 'sys/audit-hash/file', { body: { input: rootToken } })
    const own = broker.audit().at(-1)?.request['client_token']
    t.equal(data?.['hash'], own, 'the hash is the one in the log')
    const { client_token: token } = await broker.tokenFor('path "sys/audit*" { capabilities = ["read", "list"] }')
    t.equal((await broker.ask('POST', 'sys/audit-hash/file', { token, body: { input: 'x' } })).status, 403)
    t.equal((await broker.ask('GET', 'sys/audit', { token })).status, 403)
  })

  t.test('SEC-276 an id leads from the answer to its entries, and an accessor from login to use', async (t) => {
    const role = await createRole(broker, 'traced', { token_policies: 'default' })
    const login = await role.login((await role.secretId()).secretId)
    const { body } = await broker.must('GET', 'auth/token/lookup-self', { token: login.body.auth?.client_token ?? '' })
    const entries = broker.audit()
    const used = entries.find(({ type, request }) => type === 'request' && request.id === body.request_id)
    const made = entries.find(({ type, request }) => type === 'response' && request.id === login.body.request_id)
    t.ok(used && made)
    const accessor = (used?.['auth'] as JsonObject)['accessor']
    t.equal(((made?.['response'] as JsonObject)['auth'] as JsonObject)['accessor'], accessor)
    t.match(accessor, /^hmac-sha256:[0-9a-f]{64}$/)
    const wrapping = await broker.must('GET', 'sys/mounts', { headers: { 'x-vault-wrap-ttl': '60' } })
    t.ok(wrapOf(wrapping).token)
  })

  t.test('SEC-271 a log that is moved away and opened again loses and doubles nothing', async (t) => {
    const file = path.join(broker.folder, 'audit.log')
    const moved = path.join(broker.folder, 'audit.log.1')
    let done = false
    const asked: string[] = []
    const load = Promise.all(Array.from({ length: 8 }, async () => {
      while (!done) asked.push((await broker.must('GET', 'sys/policies/acl/default')).body.request_id ?? '')
    }))
    await until('there is load', () => asked.length > 50)
    renameSync(file, moved)
    broker.process.kill('SIGHUP')
    await until('the log was opened again', () => existsSync(file))
    const sofar = asked.length
    await until('there was more', () => asked.length > sofar + 50)
    done = true
    await load
    const seen = [...linesOf(moved), ...linesOf(file)].filter(({ type }) => type === 'response').map(({ request }) => request.id)
    const times = new Map<string, number>()
    for (const id of seen) times.set(id, (times.get(id) ?? 0) + 1)
    t.strictSame(asked.filter((id) => times.get(id) !== 1), [], `${asked.length} requests`)
    t.ok(linesOf(file).length > 50)
  })
})
