import { readdirSync, readFileSync, statSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import path from 'node:path'
import t from 'tap'
import {
  auditFaults, authOf, createRole, rootToken, startAws, startBroker, textOf, wrapOf, type TestBroker
} from '../helpers/broker.ts'
import { until } from '../helpers/redis.ts'

t.test('a second start finds everything as it was', async (t) => {
  const broker = await startBroker(t, { settings: { LATCHKEY_EMULATOR: undefined } })
  const roleIdOf = async () => textOf(await broker.must('GET', 'auth/approle/role/ci/role-id'), 'role_id')
  const roleId = await roleIdOf()
  const role = await createRole(broker, 'kept', { token_policies: ['default', 'ci-ec2-only'] })
  const { secretId } = await role.secretId({ num_uses: 3 })
  const { client_token: token } = authOf(await role.login(secretId))
  const { client_token: revoked } = authOf(await broker.must('POST', 'auth/token/create', { body: { policies: ['default'] } }))
  await broker.must('POST', 'auth/token/revoke', { body: { token: revoked } })
  await broker.must('PUT', 'cubbyhole/kept', { token, body: { a: 1 } })
  const wrapped = wrapOf(await broker.must('POST', 'sys/wrapping/wrap', { body: { inside: 'yes' }, headers: { 'x-vault-wrap-ttl': '600' } }))
  const vend = await broker.must('GET', 'aws/creds/ec2-only', { token })
  const config = (await broker.must('GET', 'aws/config/root')).body.data
  const mounts = (await broker.must('GET', 'sys/mounts')).body.data
  const policies = (await broker.must('LIST', 'sys/policies/acl')).body.data
  const hash = async () => (await broker.must('POST', 'sys/audit-hash/file', { body: { input: 'same' } })).body.data?.['hash']
  const salted = await hash()

  for (const how of ['a stop', 'a kill'] as const) {
    t.test(`after ${how}`, async (t) => {
      if (how === 'a stop') t.equal(await broker.stop(), 0)
      else await broker.kill9()
      await broker.restart()
      t.comment(`served after ${Math.round(broker.startMs)} ms`)
      t.equal(await roleIdOf(), roleId)
      t.equal((await broker.ask('GET', 'auth/token/lookup-self', { token })).status, 200)
      t.equal((await broker.ask('GET', 'auth/token/lookup-self', { token: revoked })).status, 403)
      t.equal((await role.login(secretId)).status, 200)
      t.equal((await broker.must('GET', 'cubbyhole/kept', { token })).body.data?.['a'], 1)
      t.equal((await broker.must('PUT', 'sys/leases/lookup', { token, body: { lease_id: vend.body.lease_id ?? '' } })).body.data?.['id'], vend.body.lease_id)
      const { access_key: key, iam_endpoint: _iam, sts_endpoint: _sts, ...settings } = config ?? {}
      t.match((await broker.must('GET', 'aws/config/root')).body.data, { ...settings, access_key: key }, 'the emulator has the identities that it had')
      t.strictSame((await broker.must('GET', 'sys/mounts')).body.data, mounts)
      t.strictSame((await broker.must('LIST', 'sys/policies/acl')).body.data, policies)
      t.equal(await hash(), salted, 'the audit log hashes as before')
      t.equal((await broker.ask('GET', 'aws/creds/ec2-only', { token })).status, 200)
    })
  }

  t.test('what is limited is as used up as it was', async (t) => {
    t.equal((await role.login(secretId)).status, 400)
    t.equal((await broker.ask('POST', 'sys/wrapping/unwrap', { token: wrapped.token })).body.data?.['inside'], 'yes')
    t.equal((await broker.ask('POST', 'sys/wrapping/unwrap', { token: wrapped.token })).status, 400)
    t.strictSame(auditFaults(broker, [rootToken, secretId]), [])
  })
})

t.test('SEC-373 SEC-361 SEC-363 a token of ten years lives on, and nobody else can read what is on the disk', async (t) => {
  const tenYears = 315_360_000
  const broker = await startBroker(t, { settings: { LATCHKEY_LEASE_TTL_SECONDS_MAX: String(tenYears) } })
  const { client_token: token, lease_duration: ttlSeconds } = authOf(await broker.must('POST', 'auth/token/create', { body: { policies: ['default'], ttl: '87600h' } }))
  t.equal(ttlSeconds, tenYears)
  for (let i = 0; i < 50; i++) t.equal((await broker.ask('GET', 'auth/token/lookup-self', { token })).status, 200)
  const modes = readdirSync(broker.folder, { recursive: true, encoding: 'utf8' }).map((name) => [name, statSync(path.join(broker.folder, name)).mode & 0o077])
  t.ok(modes.length >= 4)
  t.strictSame(modes.filter(([, mode]) => mode !== 0), [])
  t.match(readFileSync(`/proc/${broker.process.pid}/status`, 'utf8'), /Umask:\s+0077/)
})

interface Outcomes { whole: number, refused: number, unknown: string[] }

/** Sends requests on connections of its own until the broker is gone. */
async function sendUntilGone (broker: TestBroker, clients: number, targets: readonly string[], outcomes: Outcomes): Promise<void> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: clients })
  const { port } = broker
  const send = (target: string) => new Promise<'whole' | 'refused' | string>((resolve) => {
    let isSent = false
    const request = http.get({ port, path: `/v1/${target}`, agent, headers: { 'x-vault-token': rootToken } }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.complete ? 'whole' : 'cut'))
      response.on('error', (error) => resolve(`answer ${error.message}`))
    })
    request.on('finish', () => { isSent = true })
    request.on('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code === 'ECONNREFUSED' || !isSent ? 'refused' : `${error.code ?? ''} ${request.reusedSocket ? 'on a used connection' : 'on a new connection'}`)
    })
  })
  await Promise.all(Array.from({ length: clients }, async (_, i) => {
    for (let gone = false; !gone;) {
      const outcome = await send(targets[i % targets.length] ?? '')
      if (outcome === 'whole') outcomes.whole++
      else if (outcome === 'refused') outcomes.refused++
      else outcomes.unknown.push(outcome)
      gone = outcome !== 'whole'
    }
  }))
  agent.destroy()
}

t.test('SEC-372 FLT-016 SIGTERM under load: every request that was sent is answered, and the exit is clean', async (t) => {
  const emulator = await startAws(t)
  for (let round = 0; round < 3; round++) {
    const broker = await startBroker(t, { emulator })
    emulator.faults.add({ kind: 'slow', delayMs: 400, count: null, match: { action: 'AssumeRole' } })
    const outcomes: Outcomes = { whole: 0, refused: 0, unknown: [] }
    const load = sendUntilGone(broker, 40, ['aws/creds/ec2-only', 'sys/mounts', 'auth/token/lookup-self', 'sys/policies/acl/default'], outcomes)
    await until('there is load', () => outcomes.whole > 300)
    const from = performance.now()
    const code = await broker.stop()
    const stopMs = performance.now() - from
    await load
    emulator.faults.clear()
    t.comment(`${outcomes.whole} answered, ${outcomes.refused} refused, stopped within ${Math.round(stopMs)} ms`)
    t.equal(code, 0)
    t.ok(stopMs < 10_000)
    t.strictSame(outcomes.unknown, [], 'no request is left without an answer')
    t.strictSame(auditFaults(broker), [], 'the log is whole')
    await broker.restart()
    const { body } = await broker.must('GET', 'sys/latchkey/sessions?limit=1000')
    t.strictSame([body.data?.['sessions']].flat().filter((session) => (session as { state: string }).state !== 'active'), [], 'no session is uncertain')
  }
})

t.test('SEC-372 a second signal ends it at once; idle connections hold nobody up', async (t) => {
  const emulator = await startAws(t)
  const broker = await startBroker(t, { emulator })
  emulator.faults.add({ kind: 'hang', match: { action: 'AssumeRole' } })
  const hanging = broker.ask('GET', 'aws/creds/ec2-only').catch(() => null)
  await until('STS was asked', () => emulator.faults.list().every(({ hits }) => hits > 0))
  const stopped = broker.stop()
  await until('it takes no connection', () => new Promise((resolve) => {
    const socket = net.connect(broker.port, '127.0.0.1')
    socket.on('connect', () => resolve(false)).on('error', () => resolve(true))
    socket.once('connect', () => socket.destroy())
  }))
  broker.process.kill('SIGTERM')
  const from = performance.now()
  await stopped
  t.ok(performance.now() - from < 2000)
  await hanging
  emulator.faults.clear()

  await broker.restart()
  t.match((await broker.must('GET', 'sys/latchkey/sessions')).body.data?.['sessions'], [{ role: 'ec2-only' }], 'what was asked of STS is shown')
  await broker.must('GET', 'sys/mounts')
  const idleFrom = performance.now()
  t.equal(await broker.stop(), 0)
  t.ok(performance.now() - idleFrom < 3000, 'though a connection is kept alive')
})
