import t from 'tap'
import { auditFaults, authOf, createRole, startAws, startBroker, textOf, wrapOf, type Answer } from '../helpers/broker.ts'
import { until } from '../helpers/redis.ts'

const roleArn = 'arn:aws:iam::444455556666:role/LatchkeyProvisioner'

interface Session {
  readonly lease_id: string
  readonly state: string
  readonly session_name: string
  readonly revocation: string
  readonly dies_at: string
  readonly role: string
  readonly run: string | null
}

t.test('AWS credentials', async (t) => {
  const emulator = await startAws(t)
  const broker = await startBroker(t, { emulator })
  const { client_token: runner } = await broker.tokenFor('path "aws/creds/*" { capabilities = ["read", "update"] }\npath "aws/sts/*" { capabilities = ["read", "update"] }', { meta: { run_id: 'run-17' } })
  const vend = (target = 'aws/creds/ec2-only', asked = {}) => broker.ask('GET', target, { token: runner, ...asked })
  const sessions = async (query = '') =>
    ((await broker.must('GET', `sys/latchkey/sessions?limit=1000${query}`)).body.data?.['sessions'] ?? []) as Session[]
  const calls = () => emulator.trail({ eventName: 'AssumeRole', accountId: '444455556666' })
  const lastCall = () => calls().at(-1)?.requestParameters ?? {}

  t.test('SEC-147 SEC-148 one call of STS for a lease, under a name that leads to the lease and the run', async (t) => {
    const before = calls().length
    const answer = await vend()
    const leaseId = answer.body.lease_id ?? ''
    t.equal(calls().length, before + 1)
    const { roleSessionName } = lastCall()
    t.match(roleSessionName, /^run-17\.\w{8}$/)
    t.ok(leaseId.includes(String(roleSessionName).slice('run-17.'.length)))
    t.match(await sessions(`&lease=${encodeURIComponent(leaseId)}`), [{ session_name: roleSessionName, run: 'run-17', role: 'ec2-only', state: 'active' }])
  })

  t.test('SEC-035 HEAD, whose answer nobody would get, makes no credential', async (t) => {
    const before = calls().length
    t.match(await broker.ask('HEAD', 'aws/creds/ec2-only', { token: runner }), { status: 405 })
    t.match(await broker.ask('HEAD', 'auth/token/lookup-self', { token: runner }), { status: 200 })
    t.equal(calls().length, before)
  })

  t.test('SEC-145 the lease ends no later than its session, and the credential no later than the session list says', async (t) => {
    const answer = await vend()
    const found = await broker.must('PUT', 'sys/leases/lookup', { body: { lease_id: answer.body.lease_id ?? '' } })
    const [session] = await sessions(`&lease=${encodeURIComponent(answer.body.lease_id ?? '')}`)
    t.ok(Date.parse(textOf(found, 'expire_time')) <= Date.parse(session?.dies_at ?? ''))
    t.equal(answer.body.lease_duration, answer.body.data?.['ttl'])
  })

  t.test('SEC-149 a revoked lease says how long its session goes on to live', async (t) => {
    const answer = await vend()
    const leaseId = answer.body.lease_id ?? ''
    const revoked = await broker.must('PUT', 'sys/leases/revoke', { body: { lease_id: leaseId } })
    t.equal(revoked.status, 204)
    const diesAt = revoked.headers['x-latchkey-session-dies-at']
    t.ok(Date.parse(String(diesAt)) > Date.now())
    t.match(await broker.ask('PUT', 'sys/leases/lookup', { body: { lease_id: leaseId } }), { status: 400, text: /invalid lease/ })
    t.match(await sessions(`&lease=${encodeURIComponent(leaseId)}`), [{ state: 'revoked', revocation: 'expires_at', dies_at: diesAt }])
  })

  t.test('SEC-151 SEC-155 another token neither ends nor extends a lease, and nobody extends STS credentials', async (t) => {
    const { body } = await vend()
    const lease = body.lease_id ?? ''
    const { client_token: stranger } = await broker.tokenFor('path "sys/leases/*" { capabilities = ["update"] }\npath "sys/revoke*" { capabilities = ["update"] }\npath "sys/renew*" { capabilities = ["update"] }')
    const attempts = [
      ['sys/leases/revoke', { lease_id: lease }], [`sys/leases/revoke/${lease}`, {}], ['sys/revoke', { lease_id: lease }], [`sys/revoke/${lease}`, {}],
      ['sys/leases/renew', { lease_id: lease }], [`sys/leases/renew/${lease}`, {}], [`sys/leases/revoke/aws/creds/ec2-only/${'x'.repeat(24)}`, { lease_id: lease }],
      ['sys/leases/revoke-prefix/aws', {}], ['sys/leases/revoke-force/aws', {}]
    ] as const
    for (const [target, asked] of attempts) t.equal((await broker.ask('PUT', target, { token: stranger, body: asked })).status, 403, target)
    t.equal((await broker.ask('PUT', 'sys/leases/lookup', { body: { lease_id: lease } })).status, 200)
    t.match(await broker.ask('PUT', 'sys/leases/renew', { token: runner, body: { lease_id: lease, increment: '12h' } }), { status: 400, text: /lease is not renewable/ })
  })

  t.test('SEC-152 an id that only resembles a lease\'s is none', async (t) => {
    const { body } = await vend()
    const lease = body.lease_id ?? ''
    for (const id of [lease.toUpperCase(), `${lease}/`, lease.slice(0, -1), `${lease}x`, `/${lease}`, lease.replace('ec2-only', 'ec2-onlx'), 'x'.repeat(10_000), '__proto__', lease.slice(lease.lastIndexOf('/') + 1)]) {
      t.match(await broker.ask('PUT', 'sys/leases/lookup', { body: { lease_id: id } }), { status: 400 }, id.slice(0, 60))
      await broker.ask('PUT', 'sys/leases/revoke', { body: { lease_id: id } })
    }
    t.equal((await broker.ask('PUT', 'sys/leases/lookup', { body: { lease_id: lease } })).status, 200)
  })

  t.test('SEC-153 SEC-154 a prefix ends at a segment, needs sudo, and is not empty', async (t) => {
    for (const name of ['r1', 'r10']) {
      await broker.must('POST', `aws/roles/${name}`, { body: { credential_type: 'assumed_role', role_arns: [roleArn], external_id: 'acme-5c1f7f0e-6f0b-4f5e-9d53-2f8a4a4f3b11' } })
    }
    const [one, ten] = [await vend('aws/creds/r1'), await vend('aws/creds/r10')]
    const isKnown = async ({ body }: Answer) => (await broker.ask('PUT', 'sys/leases/lookup', { body: { lease_id: body.lease_id ?? '' } })).status === 200
    t.strictSame([await isKnown(one), await isKnown(ten)], [true, true])
    await broker.must('PUT', 'sys/leases/revoke-prefix/aws/creds/r1')
    t.strictSame([await isKnown(one), await isKnown(ten)], [false, true])
    for (const target of ['sys/leases/revoke-prefix/', 'sys/leases/revoke-prefix', 'sys/revoke-prefix']) {
      t.ok([400, 404, 405].includes((await broker.ask('PUT', target, { body: {} })).status), target)
    }
    t.ok(await isKnown(ten))
  })

  t.test('SEC-159 only the exact ARNs of a role are assumed, wherever another one is named', async (t) => {
    const before = calls().length
    for (const arn of ['arn:aws:iam::444455556666:role/Other', 'arn:aws:iam::111122223333:role/LatchkeyProvisioner', 'arn:aws:iam::444455556666:role/*', `${roleArn} `, roleArn.toUpperCase(), `${roleArn},arn:aws:iam::444455556666:role/Other`]) {
      t.equal((await vend(`aws/sts/ec2-only?role_arn=${encodeURIComponent(arn)}`)).status, 400, arn)
      t.equal((await broker.ask('PUT', 'aws/sts/ec2-only', { token: runner, body: { role_arn: arn } })).status, 400, arn)
    }
    for (const name of ['ec2-*', 'EC2-only', 'ec2-only/x']) t.ok([400, 403, 404].includes((await vend(`aws/sts/${name}`)).status), name)
    t.equal(calls().length, before, 'STS was not asked')
  })

  t.test('SEC-166 SEC-167 what a caller names is bounded: the session\'s name, and its life', async (t) => {
    for (const name of ['../../x', 'a b', 'x'.repeat(65), 'a\nb', 'aws:x']) {
      const { status } = await broker.ask('PUT', 'aws/sts/ec2-only', { token: runner, body: { role_session_name: name } })
      t.equal(status, 200, JSON.stringify(name))
      t.match(lastCall()['roleSessionName'], /^[\w+=,.@-]{2,64}$/)
    }
    for (const ttl of ['15m', '1h', '9h', '87600h']) {
      const answer = await vend(`aws/sts/ec2-only?ttl=${ttl}`)
      t.equal(answer.status, 200)
      t.ok(Number(lastCall()['durationSeconds']) <= 3600, `${ttl} gives ${String(lastCall()['durationSeconds'])}`)
    }
    const before = calls().length
    for (const ttl of ['-1', '1e400', '1d1d', 'x']) t.equal((await vend(`aws/sts/ec2-only?ttl=${ttl}`)).status, 400, ttl)
    t.equal(calls().length, before)
    const fields = { policy_document: '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}', session_tags: { a: 'b' }, external_id: 'x' }
    await broker.ask('PUT', 'aws/sts/ec2-only', { token: runner, body: fields })
    t.notMatch(JSON.stringify(lastCall()), /"Action\\*":\\*"\*/, 'no caller widens the session')
  })

  t.test('SEC-161 SEC-162 no endpoint but AWS and loopback, no region but a region', async (t) => {
    const before = (await broker.must('GET', 'aws/config/root')).body.data
    for (const endpoint of ['http://169.254.169.254', 'http://10.0.0.1', 'http://sts.evil.example', 'https://evil.example', 'http://127.0.0.1@evil.example', 'http://[::ffff:169.254.169.254]', 'http://2852039166', 'http://0x7f.1', 'http://localhost.', 'file:///etc/passwd', 'gopher://x']) {
      t.equal((await broker.ask('POST', 'aws/config/root', { body: { sts_endpoint: endpoint } })).status, 400, endpoint)
    }
    for (const region of ['us-east-1.evil.example', 'x@evil:443/#', '../', 'us-east-1\n', 'US-EAST-1 ']) {
      t.equal((await broker.ask('POST', 'aws/config/root', { body: { region } })).status, 400, JSON.stringify(region))
    }
    t.strictSame((await broker.must('GET', 'aws/config/root')).body.data, before)
    t.notOk('secret_key' in (before ?? {}))
  })

  t.test('SEC-163 SEC-165 SEC-168 FLT-054 an uncertain outcome is one call, a 400 that names the lease, and a session that is kept', async (t) => {
    for (const kind of ['reset', 'truncated', 'empty', 'html', 'malformed-xml', 'redirect'] as const) {
      emulator.faults.add({ kind, effect: 'after', match: { action: 'AssumeRole' }, ...(kind === 'redirect' && { location: 'http://127.0.0.1:1/' }) })
      const before = calls().length
      const answer = await vend()
      t.equal(answer.status, 400, `${kind} is ${answer.text}`)
      t.equal(calls().length, before + 1, kind)
      const [lease = ''] = /aws\/creds\/ec2-only\/\w{24}/.exec(answer.text) ?? []
      const [session] = await sessions(`&lease=${encodeURIComponent(lease)}`)
      t.equal(session?.state, 'orphan', kind)
      t.equal(session?.session_name, calls().at(-1)?.requestParameters?.['roleSessionName'])
      t.ok(Date.parse(session?.dies_at ?? '') >= Date.now() + 890_000)
      t.notMatch(answer.text, /html|127\.0\.0\.1:1|ASIA/)
    }
    emulator.faults.add({ kind: 'throttle', match: { action: 'AssumeRole' } })
    t.equal((await vend()).status, 502)
    emulator.faults.add({ kind: 'error', status: 403, code: 'AccessDenied', message: 'User: arn:aws:iam::1:user/x AKIAIOSFODNN7EXAMPLE is not authorized\u0007', match: { action: 'AssumeRole' } })
    const told = await vend()
    t.equal(told.status, 400)
    t.match(told.text, /AccessDenied/)
    t.notMatch(told.text, /AKIAIOSFODNN7EXAMPLE|\\u0007/)
    emulator.faults.add({ kind: 'error', status: 403, code: 'InvalidClientTokenId', message: 'CNRYour-own-key is bad', match: { action: 'AssumeRole' } })
    t.notMatch((await vend()).text, /CNRY/, 'trouble with the broker\'s own keys is not the caller\'s to know')
    emulator.faults.clear()
  })

  t.test('SEC-169 callers at once get a credential each, and no lease two', async (t) => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => vend()))
    t.equal(new Set(answers.map((answer) => textOf(answer, 'access_key'))).size, 100)
    t.equal(new Set(answers.map(({ body }) => body.lease_id)).size, 100)
  })

  t.test('SEC-307 FLT-008 a client that goes away leaves a lease that is known and follows its token', async (t) => {
    const { client_token: token } = await broker.tokenFor('path "aws/creds/ec2-only" { capabilities = ["read"] }')
    const fault = emulator.faults.add({ kind: 'slow', delayMs: 300, match: { action: 'AssumeRole' } })
    const asked = new AbortController()
    const gone = broker.ask('GET', 'aws/creds/ec2-only', { token, signal: asked.signal }).catch(() => 'gone')
    await until('STS was asked', () => emulator.faults.list().every(({ id, hits }) => id !== fault.id || hits > 0))
    asked.abort()
    t.equal(await gone, 'gone')
    const { accessor } = (await broker.must('POST', 'auth/token/lookup', { body: { token } })).body.data as { accessor: string }
    const own = () => sessions(`&token_accessor=${accessor}`)
    await until('the operation ended as a whole', async () => (await own()).some(({ state }) => state === 'active'))
    await broker.must('POST', 'auth/token/revoke', { body: { token } })
    t.match(await broker.ask('PUT', 'sys/leases/lookup', { body: { lease_id: (await own())[0]?.lease_id ?? '' } }), { status: 400 })
    await until('its session is shown as revoked', async () => (await own())[0]?.state === 'revoked')
  })

  t.test('SEC-171 what is kept of a credential could not be used', async (t) => {
    const answer = await vend()
    const secrets = [textOf(answer, 'secret_key'), textOf(answer, 'security_token')]
    const shown = await Promise.all([
      broker.must('PUT', 'sys/leases/lookup', { body: { lease_id: answer.body.lease_id ?? '' } }),
      broker.must('LIST', 'sys/leases/lookup/aws/creds/ec2-only'),
      broker.must('GET', 'sys/latchkey/sessions?limit=1000'),
      broker.must('LIST', 'sys/latchkey/sessions')
    ])
    for (const { text } of shown) for (const secret of secrets) t.notOk(text.includes(secret))
    t.strictSame(auditFaults(broker, secrets), [])
    for (const secret of secrets) t.notOk(broker.output().includes(secret))
  })

  t.test('SEC-173 no lease endpoint does anything without a token', async (t) => {
    const { body } = await vend()
    const lease = { lease_id: body.lease_id ?? '' }
    for (const path of ['leases/lookup', 'leases/renew', 'leases/revoke', 'renew', 'revoke', `leases/revoke/${lease.lease_id}`, 'leases/revoke-prefix/aws', 'revoke-force/aws', 'leases/tidy', 'latchkey/sessions']) {
      for (const method of ['PUT', 'GET', 'LIST', 'DELETE']) {
        const answer = await broker.ask(method, `sys/${path}`, { token: null, ...(method === 'PUT' && { body: lease }) })
        t.equal(answer.text, '{"errors":["permission denied"]}', `${method} ${path}`)
      }
    }
    t.equal((await broker.ask('PUT', 'sys/leases/lookup', { body: lease })).status, 200)
  })

  t.test('SEC-074 a token follows the policies and the role as they are now', async (t) => {
    await broker.must('PUT', 'sys/policies/acl/narrowed', { body: { policy: 'path "aws/creds/ec2-only" { capabilities = ["read"] }' } })
    const role = await createRole(broker, 'narrowing', { token_policies: ['narrowed'] })
    const { client_token: token } = authOf(await role.login((await role.secretId()).secretId))
    t.equal((await vend(undefined, { token })).status, 200)
    await broker.must('PUT', 'sys/policies/acl/narrowed', { body: { policy: 'path "aws/creds/other" { capabilities = ["read"] }' } })
    t.equal((await vend(undefined, { token })).status, 403)
  })

  t.test('a wrapped credential is leased, and is in nobody\'s hands until it is unwrapped', async (t) => {
    const wrap = wrapOf(await vend(undefined, { headers: { 'x-vault-wrap-ttl': '60' } }))
    t.equal(wrap.creation_path, 'aws/creds/ec2-only')
    const inner = await broker.must('POST', 'sys/wrapping/unwrap', { token: wrap.token })
    t.match(inner.body, { lease_id: /^aws\/creds\/ec2-only\/\w{24}$/, data: { access_key: /^ASIA/ } })
    t.equal((await broker.ask('PUT', 'sys/leases/lookup', { body: { lease_id: inner.body.lease_id ?? '' } })).status, 200)
  })

  t.test('every session of the trail belongs to a lease that the broker shows', async (t) => {
    const shown = new Set((await sessions()).map(({ session_name: name }) => name))
    const made = calls().filter(({ errorCode }) => errorCode === undefined).map(({ requestParameters }) => String(requestParameters?.['roleSessionName']))
    t.ok(made.length > 100)
    t.strictSame(made.filter((name) => !shown.has(name)), [])
    t.strictSame(auditFaults(broker), [])
  })
})

t.test('SEC-158 a mount goes only with its leases, and what comes after it at its path starts with nothing', async (t) => {
  const emulator = await startAws(t)
  const broker = await startBroker(t, { emulator })
  const { client_token: token } = await broker.tokenFor('path "aws/*" { capabilities = ["read", "list"] }')
  const { body } = await broker.must('GET', 'aws/creds/ec2-only', { token })
  await broker.must('DELETE', 'sys/mounts/aws')
  t.match(await broker.ask('PUT', 'sys/leases/lookup', { body: { lease_id: body.lease_id ?? '' } }), { status: 400, text: /invalid lease/ })
  t.equal((await broker.ask('DELETE', 'sys/mounts/aws')).status, 204, 'once more is harmless')
  t.match((await broker.must('GET', 'sys/latchkey/sessions')).text, body.lease_id, 'the session is still shown')
  await broker.must('POST', 'sys/mounts/aws', { body: { type: 'aws' } })
  t.test('SEC-029 the new mount has neither roles, nor configuration, nor leases of the old one', async (t) => {
    for (const target of ['aws/roles/ec2-only', 'aws/config/root']) t.equal((await broker.ask('GET', target)).status, 404, target)
    t.equal((await broker.ask('LIST', 'aws/roles', { token })).status, 404)
    t.equal((await broker.ask('GET', 'aws/creds/ec2-only', { token })).status, 400)
    t.equal((await broker.ask('LIST', 'sys/leases/lookup/aws/creds')).status, 404)
  })
})
