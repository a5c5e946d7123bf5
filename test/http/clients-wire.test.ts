import t, { type Test } from 'tap'
import { createRole, rootToken, startAws, startBroker, type Body } from '../helpers/broker.ts'
import {
  converse, goClient, hashiVaultJs, hvac, litehex, nodeVault, terraformHttp, vaultAction, type Dialect, type Heard, type Spoken
} from './client-dialects.ts'

const aws = await startAws(t)
const broker = await startBroker(t, { emulator: aws })
const role = await createRole(broker, 'wire', { token_policies: 'ci-ec2-only', token_ttl: '20m', token_max_ttl: '1h' })

/** A client that talks over one connection, and checks what every client relies on. */
async function client (t: Test, dialect: Dialect) {
  const conversation = await converse(broker.port, dialect)
  t.teardown(() => conversation.end())
  return async (spoken: Spoken, status: number): Promise<Body> => {
    const heard: Heard = await conversation.say(spoken)
    const isEmpty = status === 202 || status === 204
    t.equal(heard.status, status, heard.status === status ? spoken.line : `${spoken.line}: ${heard.body}`)
    t.equal(heard.headers.get('content-type'), isEmpty ? undefined : 'application/json', 'the whole type')
    t.notOk(heard.headers.has('content-encoding'), 'nothing is compressed')
    if (isEmpty) {
      t.equal(heard.body, '')
      return {}
    }
    return JSON.parse(heard.body) as Body
  }
}

type Tell = Awaited<ReturnType<typeof client>>

/** Logs in with the JSON that the client writes, and answers the token. */
async function logIn (tell: Tell, method: string, write: (roleId: string, secretId: string) => string): Promise<string> {
  const { secretId } = await role.secretId()
  const { auth } = await tell({ line: `${method} /v1/auth/approle/login`, body: write(role.roleId, secretId) }, 200)
  return auth?.client_token ?? ''
}

const plainJson = (roleId: string, secretId: string) => JSON.stringify({ role_id: roleId, secret_id: secretId })
const pythonJson = (roleId: string, secretId: string) => `{"role_id": "${roleId}", "secret_id": "${secretId}"}`

t.test('hvac logs in, renews, fetches, and administers', async (t) => {
  const tell = await client(t, hvac)
  const token = await logIn(tell, 'POST', pythonJson)
  t.match((await tell({ line: 'GET /v1/auth/token/lookup-self', token }, 200)).data, { path: 'auth/approle/login', id: token })
  t.match((await tell({ line: 'POST /v1/auth/token/renew-self', token, body: '{"increment": "30m"}' }, 200)).auth, { lease_duration: 1800 })
  const vended = await tell({ line: 'GET /v1/aws/creds/ec2-only', token }, 200)
  t.match(vended, { renewable: false, data: { access_key: String, secret_key: String, security_token: String } })
  const longer = await tell({ line: 'POST /v1/aws/sts/ec2-only', token, body: '{"role_arn": "", "ttl": "20m"}' }, 200)
  t.ok(Number(longer.lease_duration) > 1140, 'an empty role_arn is none')
  const lease = `{"lease_id": "${vended.lease_id ?? ''}"}`
  t.match((await tell({ line: 'LIST /v1/auth/approle/role', token: rootToken }, 200)).data, { keys: ['ci', 'wire'] })
  t.match((await tell({ line: 'PUT /v1/sys/leases/lookup', token: rootToken, body: lease }, 200)).data, { id: vended.lease_id })
  t.match((await tell({ line: 'LIST /v1/sys/leases/lookup/aws/creds/ec2-only', token: rootToken }, 200)).data, { keys: [String] })
  await tell({ line: 'PUT /v1/sys/leases/revoke', token: rootToken, body: lease }, 204)
  await tell({ line: 'LIST /v1/sys/leases/lookup/aws/creds/ec2-only', token: rootToken }, 404)
  await tell({ line: 'POST /v1/auth/token/revoke-self', token }, 204)
  t.strictSame((await tell({ line: 'GET /v1/auth/token/lookup-self', token }, 403)).errors, ['permission denied'])
})

t.test('hvac wraps a secret_id, and sends null for what it does not set', async (t) => {
  const tell = await client(t, hvac)
  const wrapped = await tell({
    line: 'POST /v1/auth/approle/role/wire/secret-id', token: rootToken, wrapTtl: '2m',
    body: '{"metadata": "{\\"run_id\\": \\"r-1\\"}", "cidr_list": "127.0.0.0/8"}'
  }, 200)
  t.match(wrapped, { data: null, auth: null, wrap_info: { ttl: 120, creation_path: 'auth/approle/role/wire/secret-id', wrapped_accessor: String } })
  const inner = await tell({ line: 'POST /v1/sys/wrapping/unwrap', token: wrapped.wrap_info?.token ?? '', body: '{}' }, 200)
  t.equal(inner.data?.['secret_id_accessor'], wrapped.wrap_info?.wrapped_accessor)
  await tell({ line: 'POST /v1/sys/wrapping/unwrap', token: wrapped.wrap_info?.token ?? '', body: '{}' }, 400)
  await tell({
    line: 'POST /v1/sys/mounts/rec-aws', token: rootToken,
    body: '{"type": "aws", "description": null, "config": null, "options": null, "plugin_name": null, "local": false, "seal_wrap": false}'
  }, 204)
  await tell({ line: 'POST /v1/sys/mounts/rec-aws/tune', token: rootToken, body: '{"default_lease_ttl": "3600s"}' }, 204)
  t.match((await tell({ line: 'GET /v1/sys/mounts/rec-aws/tune', token: rootToken }, 200)).data, { default_lease_ttl: 3600, max_lease_ttl: 2_764_800 })
  await tell({ line: 'DELETE /v1/sys/mounts/rec-aws', token: rootToken }, 204)
  const made = await tell({
    line: 'POST /v1/auth/token/create', token: rootToken,
    body: '{"policies": ["default"], "no_parent": false, "no_default_policy": false, "renewable": true, "ttl": "1h", "display_name": "token", "num_uses": 0}'
  }, 200)
  t.match(made.auth, { policies: ['default'], lease_duration: 3600, num_uses: 0 })
})

t.test('the Go client, its command line, its agent and Terraform write without a content type', async (t) => {
  const tell = await client(t, goClient)
  const token = await logIn(tell, 'PUT', plainJson)
  t.match((await tell({ line: 'PUT /v1/auth/token/renew-self', token, body: '{"increment":0}' }, 200)).auth, { lease_duration: 1200 })
  t.match((await tell({ line: 'GET /v1/sys/internal/ui/mounts/aws/sts/ec2-only', token }, 200)).data, { path: 'aws/', type: 'aws' })
  const first = await tell({ line: 'PUT /v1/aws/sts/ec2-only', token, body: 'null' }, 200)
  t.match(first, { renewable: false, lease_id: /^aws\/sts\/ec2-only\// })
  await tell({ line: 'GET /v1/aws/sts/ec2-only?role_arn=&ttl=20m', token }, 200)
  t.match((await tell({ line: 'GET /v1/auth/approle/role?list=true', token: rootToken }, 200)).data, { keys: ['ci', 'wire'] })
  await tell({ line: `PUT /v1/sys/leases/revoke/${first.lease_id ?? ''}`, token: rootToken, body: '{"sync":false}' }, 202)
  await tell({ line: 'PUT /v1/sys/leases/revoke-prefix/aws/sts', token: rootToken, body: '{"sync":true}' }, 204)
  await tell({ line: 'GET /v1/sys/leases/lookup/aws?list=true', token: rootToken }, 404)
  t.match((await tell({
    line: 'POST /v1/auth/token/create', token: rootToken,
    body: '{"policies":["default"],"ttl":"5m0s","explicit_max_ttl":"0s","period":"0s","display_name":"","num_uses":0,"renewable":true,"type":"service","entity_alias":""}'
  }, 200)).auth, { lease_duration: 300, policies: ['default'] })
  t.match((await tell({
    line: 'POST /v1/auth/token/create', token: rootToken,
    body: '{"ttl":"1200s","explicit_max_ttl":"1200s","display_name":"terraform","num_uses":0,"renewable":false,"type":"","entity_alias":""}'
  }, 200)).auth, { lease_duration: 1200, renewable: false })
})

t.test('the Go client wraps, tunes with empty texts, and unwraps with the token as its own', async (t) => {
  const tell = await client(t, goClient)
  const wrapped = await tell({ line: 'PUT /v1/auth/approle/role/wire/secret-id', token: rootToken, wrapTtl: '1m0s', body: 'null' }, 200)
  const wrapping = wrapped.wrap_info?.token ?? ''
  t.match((await tell({ line: 'GET /v1/sys/wrapping/lookup', token: wrapping }, 200)).data, { creation_path: 'auth/approle/role/wire/secret-id', creation_ttl: 60 })
  t.match((await tell({ line: 'PUT /v1/sys/wrapping/unwrap', token: wrapping, body: 'null' }, 200)).data, { secret_id: String })
  t.strictSame((await tell({ line: 'PUT /v1/sys/wrapping/unwrap', token: wrapping, body: 'null' }, 400)).errors, ['wrapping token is not valid or does not exist'])
  const enable = '{"type":"aws","description":"","config":{"options":null,"default_lease_ttl":"10m0s","max_lease_ttl":"0s","force_no_cache":false},"local":false,"seal_wrap":false,"external_entropy_access":false,"options":null}'
  await tell({ line: 'POST /v1/sys/mounts/rec-go', token: rootToken, body: enable }, 204)
  const tune = '{"options":null,"default_lease_ttl":"","max_lease_ttl":"2h0m0s","force_no_cache":false}'
  await tell({ line: 'POST /v1/sys/mounts/rec-go/tune', token: rootToken, body: tune }, 204)
  t.match((await tell({ line: 'GET /v1/sys/mounts/rec-go/tune', token: rootToken }, 200)).data, { default_lease_ttl: 600, max_lease_ttl: 7200 }, 'an empty TTL changes nothing')
  await tell({ line: 'POST /v1/sys/mounts/auth/approle/tune', token: rootToken, body: tune }, 204)
  await tell({ line: 'DELETE /v1/sys/mounts/rec-go', token: rootToken }, 204)
})

t.test('Terraform\'s http data source logs in, unwraps and fetches', async (t) => {
  const tell = await client(t, terraformHttp)
  const token = await logIn(tell, 'POST', plainJson)
  t.match((await tell({ line: 'GET /v1/aws/sts/ec2-only', token }, 200)).data, { access_key: String, security_token: String })
  t.match((await tell({ line: 'POST /v1/aws/sts/ec2-only', token, body: '{"role_session_name":"tf-run-7","ttl":"20m"}' }, 200)).data, { arn: /\/tf-run-7$/ })
  const { wrap_info: wrapInfo } = await broker.must('POST', 'auth/approle/role/wire/secret-id', { headers: { 'x-vault-wrap-ttl': '60' } }).then(({ body }) => body)
  t.match((await tell({ line: 'POST /v1/sys/wrapping/unwrap', token: wrapInfo?.token ?? '', body: '' }, 200)).data, { secret_id: String })
  t.match(await tell({ line: 'POST /v1/auth/approle/login', body: plainJson(role.roleId, 'wrong') }, 400), { errors: ['invalid role or secret ID'] })
})

t.test('clients of Node speak LIST, forms without a body, and JSON that they call text', async (t) => {
  const nv = await client(t, nodeVault)
  const token = await logIn(nv, 'POST', plainJson)
  t.match((await nv({ line: 'POST /v1/auth/token/renew-self', token }, 200)).auth, { lease_duration: 1200 })
  t.match((await nv({ line: 'LIST /v1/aws/roles', token: rootToken }, 200)).data, { keys: ['ec2-only'] })
  t.match((await nv({ line: 'GET /v1/aws/roles?list=1', token: rootToken }, 200)).data, { keys: ['ec2-only'] })
  const policy = await nv({ line: 'PUT /v1/sys/policy/np', token: rootToken, body: '{"name":"np","rules":"path \\"x\\" { policy = \\"read\\" }"}' }, 200)
  t.match(policy.warnings, [/'rules' is deprecated/])
  t.match(await nv({ line: 'GET /v1/sys/policy/np', token: rootToken }, 200), { rules: 'path "x" { policy = "read" }' })
  const wrapped = await nv({ line: 'POST /v1/sys/wrapping/wrap', token: rootToken, wrapTtl: '60s', body: '{"foo":"bar"}' }, 200)
  t.match((await nv({ line: 'POST /v1/sys/wrapping/unwrap', token: wrapped.wrap_info?.token ?? '' }, 200)).data, { foo: 'bar' })

  const hashi = await client(t, hashiVaultJs)
  t.match((await hashi({ line: 'POST /v1/auth/token/renew-self', token, body: '{"increment":"10m"}' }, 200)).auth, { lease_duration: 600 })
  t.match((await hashi({ line: 'POST /v1/auth/token/renew', token: rootToken, body: `{"token":"${token}","increment":null}` }, 200)).auth, { lease_duration: 1200 })

  const fetching = await client(t, litehex)
  await fetching({ line: 'POST /v1/cubbyhole/z', token: rootToken, body: '{"b":2}' }, 204)
  t.match((await fetching({ line: 'LIST /v1/cubbyhole', token: rootToken }, 200)).data, { keys: ['z'] })
  await fetching({ line: 'POST /v1/sys/mounts/lh', token: rootToken, body: '{"type":"aws","description":"d"}' }, 204)
  await fetching({ line: 'DELETE /v1/sys/mounts/lh', token: rootToken }, 204)

  const action = await client(t, vaultAction)
  const own = await logIn(action, 'POST', plainJson)
  t.match((await action({ line: 'GET /v1/aws/sts/ec2-only', token: own }, 200)).data, { access_key: String })
})
