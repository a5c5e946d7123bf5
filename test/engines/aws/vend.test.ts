import { AssumeRoleCommand, STSClient, STSServiceException } from '@aws-sdk/client-sts'
import { mockClient } from 'aws-sdk-client-mock'
import t from 'tap'
import { startEmulator } from '../../../src/emulator/server.ts'
import { post } from '../../emulator/helpers/sign.ts'
import { account, at, createEngineRig, demoArn, startSts } from './rig.ts'

const acme = 'arn:aws:iam::444455556666:role/LatchkeyProvisioner'
const globex = 'arn:aws:iam::777788889999:role/LatchkeyProvisioner'
const acmeId = 'acme-5c1f7f0e-6f0b-4f5e-9d53-2f8a4a4f3b11'
const globexId = 'globex-9a3d1c77-0f52-4d1e-b8a6-7e21c90d4f38'

/** The engine with the emulator's own broker identity. */
async function emulated () {
  const emulator = await startEmulator()
  const user = emulator.identities.accounts.flatMap(({ users }) => users).find(({ name }) => name === 'latchkey')
  const keys = user?.accessKeys[0] ?? { accessKeyId: '', secretAccessKey: '' }
  const rig = createEngineRig()
  await rig.configure(emulator.endpoint, { access_key: keys.accessKeyId, secret_key: keys.secretAccessKey })
  await rig.write('roles/acme', { credential_type: 'assumed_role', role_arns: acme, external_id: acmeId })
  await rig.write('roles/globex', { credential_type: 'assumed_role', role_arns: globex, external_id: globexId })
  return { emulator, rig }
}

function keysOf (data: { readonly [name: string]: unknown }) {
  return {
    accessKeyId: String(data['access_key']), secretAccessKey: String(data['secret_key']), sessionToken: String(data['session_token'])
  }
}

t.test('a vended credential works: signed calls, a session of the role that was asked for, its end as it was told', async (t) => {
  const { emulator, rig } = await emulated()
  t.teardown(() => emulator.close())
  const { data, expiresAtMs, leaseId, intent, revocation } = await rig.vend('sts/acme', { ttl: '20m' })
  t.equal(data['security_token'], data['session_token'])
  t.ok(Number(data['ttl']) > 1190 && Number(data['ttl']) <= 1200)
  t.ok(Math.abs(expiresAtMs - Date.now() - 1_200_000) < 10_000)
  const identity = await post(emulator.endpoint, keysOf(data), { Action: 'GetCallerIdentity', Version: '2011-06-15' })
  t.equal(identity.status, 200)
  t.match(identity.text, `<Arn>${String(data['arn'])}</Arn>`)
  t.match(data['arn'], `arn:aws:sts::444455556666:assumed-role/LatchkeyProvisioner/vault-root-acme-`)
  t.match(intent, { kind: 'sts', credentialType: 'assumed_role', role: 'acme', roleArn: acme, account: '444455556666', region: 'us-east-1', durationSeconds: 1200 })
  t.match(revocation, { sessionName: at(intent, 'sessionName'), accessKeyId: data['access_key'], arn: data['arn'], expiresAtMs })
  t.ok(String(at(intent, 'sessionName')).endsWith(leaseId.slice(-20)))
  for (const record of [intent, revocation]) {
    t.notMatch(JSON.stringify(record), String(data['secret_key']), 'SEC-171: no secret in what is recorded')
    t.notMatch(JSON.stringify(record), String(data['session_token']))
  }
})

t.test('SEC-147: the intent names the session that STS is asked for, so its trail leads to the lease', async (t) => {
  const { emulator, rig } = await emulated()
  t.teardown(() => emulator.close())
  await rig.write('roles/acme', { session_tags: { team: 'blue' }, source_identity: 'lease_id' })
  const { intent, leaseId, revocation } = await rig.vend('creds/acme', {}, { metadata: { run_id: '01JDXYZ' }, displayName: 'approle' })
  const [event] = emulator.trail().filter((event) => JSON.stringify(event).includes('01JDXYZ'))
  t.equal(at(intent, 'sessionName'), `01JDXYZ.${leaseId.slice(-8)}`)
  t.match(JSON.stringify(event), `"roleSessionName":"01JDXYZ.${leaseId.slice(-8)}"`)
  t.match(JSON.stringify(event), leaseId, 'the source identity')
  t.match(revocation, { runId: '01JDXYZ', sourceIdentity: leaseId, sessionTokenUtilization: Number })
})

t.test('SEC-160: two roles of one name in two accounts never meet', async (t) => {
  const { emulator, rig } = await emulated()
  t.teardown(() => emulator.close())
  const names = Array.from({ length: 40 }, (_, n) => n % 2 === 0 ? 'acme' : 'globex')
  const vended = await Promise.all(names.map((name) => rig.vend(`sts/${name}`)))
  for (const [n, { data }] of vended.entries()) {
    t.match(data['arn'], `arn:aws:sts::${names[n] === 'acme' ? '444455556666' : '777788889999'}:assumed-role/LatchkeyProvisioner/`)
  }
})

t.test('a wrong external id is refused in AWS\'s words', async (t) => {
  const { emulator, rig } = await emulated()
  t.teardown(() => emulator.close())
  await rig.write('roles/acme', { external_id: globexId })
  await t.rejects(rig.vend('sts/acme'), { code: 'invalid_request', message: /^Error assuming role: AccessDenied: User: .* is not authorized to perform: sts:AssumeRole on resource: / })
})

t.test('a session policy narrows the session', async (t) => {
  const { emulator, rig } = await emulated()
  t.teardown(() => emulator.close())
  await rig.write('roles/acme', { policy_document: JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 'ec2:DescribeRegions', Resource: '*' }] }) })
  const { data } = await rig.vend('sts/acme')
  const ask = (Action: string) => post(emulator.endpoint, keysOf(data), { Action, Version: '2016-11-15' }, { service: 'ec2' })
  t.equal((await ask('DescribeRegions')).status, 200)
  t.equal((await ask('DescribeVpcs')).status, 403)
})

t.test('a federation token has the name of its lease and no arn in its data', async (t) => {
  const { emulator, rig } = await emulated()
  t.teardown(() => emulator.close())
  await rig.write('roles/fed', { credential_type: 'federation_token', policy_document: '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"}]}', default_sts_ttl: 900 })
  const { data, revocation, leaseId } = await rig.vend('sts/fed')
  t.notOk('arn' in data)
  t.match(revocation, { credentialType: 'federation_token', sessionName: /^vault-\d{10}-/, principalId: /^111122223333:vault-/ })
  t.ok(String(at(revocation, 'sessionName')).endsWith(leaseId.slice(-15)))
  const identity = await post(emulator.endpoint, keysOf(data), { Action: 'GetCallerIdentity', Version: '2011-06-15' })
  t.match(identity.text, '<Arn>arn:aws:sts::111122223333:federated-user/vault-')
})

t.test('SEC-148, FLT-054: faults of the emulator are one call each, and uncertain ones are told as such', async (t) => {
  const { emulator, rig } = await emulated()
  t.teardown(() => emulator.close())
  for (const kind of ['reset', 'malformed-xml', 'truncated', 'empty', 'html', 'redirect'] as const) {
    emulator.faults.add({ kind })
    await t.rejects(rig.vend('sts/acme'), { name: 'CredentialUncertain' }, kind)
  }
  emulator.faults.add({ kind: 'throttle' })
  await t.rejects(rig.vend('sts/acme'), { code: 'upstream_throttled' })
  const hits = emulator.faults.list().map((fault) => fault.hits)
  t.same(hits, [1, 1, 1, 1, 1, 1, 1])
  await rig.vend('sts/acme')
})

t.test('SEC-159: only the exact ARNs of the role are assumed', async (t) => {
  const sts = await startSts(() => ({}))
  t.teardown(() => sts.close())
  const rig = createEngineRig()
  await rig.configure(sts.url)
  await rig.write('roles/demo', { credential_type: 'assumed_role', role_arns: demoArn })
  await rig.write('roles/wide', { credential_type: 'assumed_role', role_arns: `arn:aws:iam::${account}:role/*` })
  for (const arn of [`${demoArn}2`, 'arn:aws:iam::999999999999:role/demo', demoArn.toUpperCase(), `${demoArn} `, `arn:aws:iam::${account}:role/*`, '*']) {
    await t.rejects(rig.run('read', 'sts/demo', { role_arn: arn }), { message: `role_arn ${JSON.stringify(arn)} not in allowed role arns for Vault role "demo"` }, arn)
    await t.rejects(rig.run('write', 'creds/demo', { role_arn: arn }), { code: 'invalid_request' }, arn)
  }
  await t.rejects(rig.run('read', 'sts/wide', { role_arn: demoArn }), { message: /not in allowed role arns/ })
  await t.rejects(rig.run('read', 'sts/wide'), { message: /is not the ARN of one IAM role/ })
  t.equal(sts.seen.length, 0)
  await rig.vend('sts/demo', { role_arn: demoArn })
  t.equal(sts.seen[0]?.form.get('RoleArn'), demoArn)
})

t.test('SEC-167: from 900 seconds to the role\'s maximum; more is capped without a word, as clients of this API expect', async (t) => {
  const sts = await startSts(() => ({}))
  t.teardown(() => sts.close())
  const rig = createEngineRig({ ttlSecondsMax: 100_000 })
  await rig.configure(sts.url)
  await rig.write('roles/demo', { credential_type: 'assumed_role', role_arns: demoArn, max_sts_ttl: '2h' })
  await rig.write('roles/open', { credential_type: 'assumed_role', role_arns: demoArn })
  await rig.write('roles/short', { credential_type: 'assumed_role', role_arns: demoArn, max_sts_ttl: 600 })
  for (const ttl of [0, 1, 899, '14m59s']) await t.rejects(rig.run('read', 'sts/demo', { ttl }), { code: 'invalid_request', message: /^ttl must be at least 900 seconds/ })
  await t.rejects(rig.run('read', 'sts/short'), { message: 'AWS grants no credentials for less than 900 seconds, and the role or the mount allows only 600' })
  await t.rejects(rig.run('read', 'sts/open', { ttl: 43_201 }), { message: 'ttl must be at most 43200 seconds, the most that AWS grants' })
  for (const [path, ttl] of [['demo', 900], ['demo', 7200], ['demo', 7201], ['open', 43_200], ['open', undefined]] as const) {
    await rig.vend(`sts/${path}`, ttl === undefined ? {} : { ttl })
  }
  t.same(sts.seen.map(({ form }) => form.get('DurationSeconds')), ['900', '7200', '7200', '43200', '3600'])
})

t.test('a role may keep session names to itself, and needs what it was told to set', async (t) => {
  const rig = createEngineRig()
  await rig.configure('http://127.0.0.1:1')
  await rig.write('roles/demo', { credential_type: 'assumed_role', role_arns: demoArn, allow_role_session_name: false, source_identity: 'run_id' })
  await t.rejects(rig.run('read', 'sts/demo', { role_session_name: 'mine' }), { message: 'role "demo" does not allow a role_session_name' })
  await t.rejects(rig.run('read', 'sts/demo'), { message: 'role "demo" needs a token whose metadata has run_id' })
  await rig.write('roles/demo', { allow_role_session_name: true })
  await t.rejects(rig.run('read', 'sts/demo', { role_session_name: 'x' }), { message: 'role_session_name must have at least 2 characters' })
})

t.test('what is not built yet is refused before anything is recorded', async (t) => {
  const rig = createEngineRig()
  await rig.configure('http://127.0.0.1:1')
  await rig.write('roles/user', { credential_type: 'iam_user' })
  await rig.write('roles/groups', { credential_type: 'assumed_role', role_arns: demoArn, iam_groups: 'g' })
  await rig.write('roles/mfa', { credential_type: 'session_token', mfa_serial_number: 'arn:aws:iam::123456789012:mfa/x' })
  await t.rejects(rig.run('read', 'creds/user'), { code: 'invalid_request', message: 'credential type iam_user is not supported yet' })
  await t.rejects(rig.run('read', 'creds/groups'), { code: 'invalid_request', message: 'roles with iam_groups are not supported yet' })
  await t.rejects(rig.run('read', 'creds/mfa', { mfa_code: '12' }), { message: /^mfa_code must be the 6 digits/ })
  await t.rejects(rig.run('read', 'creds/none'), { code: 'invalid_request', message: 'Role "none" not found' })
})

t.test('SEC-169: a thousand callers at once get a thousand credentials, one for each lease', async (t) => {
  const sts = await startSts(() => ({}))
  t.teardown(() => sts.close())
  const rig = createEngineRig()
  await rig.configure(sts.url)
  await rig.write('roles/demo', { credential_type: 'assumed_role', role_arns: demoArn })
  const vended = await Promise.all(Array.from({ length: 1000 }, () => rig.vend('sts/demo')))
  t.equal(new Set(vended.map(({ data }) => data['access_key'])).size, 1000)
  t.equal(new Set(vended.map(({ data }) => data['session_token'])).size, 1000)
  t.equal(sts.seen.length, 1000)
  for (const { data, intent } of vended) t.equal(data['session_token'], `token-of-${String(at(intent, 'sessionName'))}`)
})

t.test('each call of the SDK is one command with what the role says', async (t) => {
  const sdk = mockClient(STSClient)
  t.teardown(() => { sdk.restore() })
  const rig = createEngineRig()
  await rig.configure('http://127.0.0.1:1')
  await rig.write('roles/demo', {
    credential_type: 'assumed_role', role_arns: demoArn, external_id: 'ext-1', session_tags: { team: 'blue' }, policy_arns: 'arn:aws:iam::aws:policy/ReadOnlyAccess'
  })
  sdk.on(AssumeRoleCommand).callsFake((input) => ({
    Credentials: { AccessKeyId: 'ASIA0000000000000000', SecretAccessKey: 's', SessionToken: 't', Expiration: new Date(Date.now() + 900_000) },
    AssumedRoleUser: { AssumedRoleId: `AROA1:${input.RoleSessionName}`, Arn: `arn:aws:sts::${account}:assumed-role/demo/${input.RoleSessionName}` }
  }))
  await rig.vend('sts/demo', { role_session_name: 'mine' })
  t.same(sdk.commandCalls(AssumeRoleCommand).map(({ args }) => args[0].input), [{
    RoleArn: demoArn, RoleSessionName: 'mine', DurationSeconds: 3600, ExternalId: 'ext-1',
    Tags: [{ Key: 'team', Value: 'blue' }], PolicyArns: [{ arn: 'arn:aws:iam::aws:policy/ReadOnlyAccess' }]
  }])
  sdk.on(AssumeRoleCommand).rejects(new STSServiceException({ name: 'AccessDenied', message: 'no', $fault: 'client', $metadata: { httpStatusCode: 403 } }))
  await t.rejects(rig.vend('sts/demo'), { message: 'Error assuming role: AccessDenied: no' })
  sdk.on(AssumeRoleCommand).rejects(new Error('something else'))
  await t.rejects(rig.vend('sts/demo'), { name: 'CredentialUncertain' })
})

t.test('an engine that is asked to end an STS session says that it lives to its end', async (t) => {
  const rig = createEngineRig()
  const context = { mount: { accessor: 'aws_aws' }, store: {}, nowMs: 0 }
  t.equal(await rig.engine.revoke(context as never, {} as never), 'expires')
})
