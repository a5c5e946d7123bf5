import t from 'tap'
import { keepCredentials, providerOf, type ProvidedCredentials } from '../../../src/engines/aws/identity.ts'
import { manualClock } from '../../leases/rig.ts'
import { createEngineRig, demoArn, startSts } from './rig.ts'

t.test('credentials are asked for once by all who wait, and again five minutes before their end', async (t) => {
  const clock = manualClock()
  let asked = 0
  const credentials = keepCredentials(async () => ({
    accessKeyId: `ASIA${++asked}`, secretAccessKey: 's', sessionToken: 't', expiration: new Date(clock.now() + 3_600_000)
  }), clock)
  const first = await Promise.all(Array.from({ length: 50 }, credentials))
  t.same(new Set(first.map(({ accessKeyId }) => accessKeyId)), new Set(['ASIA1']))
  clock.advance(3299)
  t.equal((await credentials()).accessKeyId, 'ASIA1')
  clock.advance(2)
  t.equal((await credentials()).accessKeyId, 'ASIA2')
})

t.test('a refresh that fails leaves the former credentials in use until they have ended', async (t) => {
  const clock = manualClock()
  let next: () => ProvidedCredentials = () => ({ accessKeyId: 'ASIA1', secretAccessKey: 's', expiration: new Date(clock.now() + 600_000) })
  const credentials = keepCredentials(async () => next(), clock)
  await credentials()
  next = () => { throw new Error('the metadata service does not answer') }
  clock.advance(400)
  t.equal((await credentials()).accessKeyId, 'ASIA1')
  clock.advance(200)
  await t.rejects(credentials())
})

t.test('SEC-368: each source is what it says and nothing beside', async (t) => {
  t.equal(providerOf('static', 'us-east-1'), null)
  const names = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_CONTAINER_CREDENTIALS_FULL_URI', 'AWS_WEB_IDENTITY_TOKEN_FILE', 'AWS_ROLE_ARN']
  const before = Object.fromEntries(names.map((name) => [name, process.env[name]]))
  t.teardown(() => {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  })
  for (const name of names) delete process.env[name]
  for (const source of ['environment', 'web-identity', 'container'] as const) await t.rejects(async () => providerOf(source, 'us-east-1')?.(), source)
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'ASIAENV', AWS_SECRET_ACCESS_KEY: 'x', AWS_SESSION_TOKEN: 'y' })
  t.match(await providerOf('environment', 'us-east-1')?.(), { accessKeyId: 'ASIAENV', sessionToken: 'y' })
  await t.rejects(async () => providerOf('container', 'us-east-1')?.(), 'keys of the environment are no container\'s')
})

t.test('the broker\'s own session signs with its token, and without an identity nothing is recorded or sent', async (t) => {
  const sts = await startSts(() => ({}))
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'ASIAENVIRONMENT00000', AWS_SECRET_ACCESS_KEY: 'x', AWS_SESSION_TOKEN: 'its-token' })
  t.teardown(async () => {
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN']) delete process.env[name]
    await sts.close()
  })
  const role = { credential_type: 'assumed_role', role_arns: demoArn }
  const rig = createEngineRig({ identity: 'environment' })
  await rig.configure(sts.url, { access_key: '', secret_key: '' })
  await rig.write('roles/demo', role)
  await rig.vend('sts/demo')
  t.match(sts.seen[0]?.headers, { 'x-amz-security-token': 'its-token', authorization: /Credential=ASIAENVIRONMENT00000\/.*SignedHeaders=content-type;host;x-amz-date;x-amz-security-token/ })

  const none = createEngineRig({ identity: 'static' })
  await none.configure(sts.url, { access_key: '', secret_key: '' })
  await none.write('roles/demo', role)
  await t.rejects(none.run('read', 'sts/demo'), { code: 'invalid_request', message: /^no AWS credentials are configured/ })
  const half = createEngineRig()
  await half.configure(sts.url, { secret_key: '', access_key: 'AKIAONLY' })
  await half.write('roles/demo', role)
  await t.rejects(half.run('read', 'sts/demo'), { message: 'config/root holds only one of access_key and secret_key' })
  t.equal(sts.seen.length, 1)
})
