import { AssumeRoleWithWebIdentityCommand, GetCallerIdentityCommand, STSClient, type AssumeRoleWithWebIdentityCommandInput } from '@aws-sdk/client-sts'
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { allowAll, policy, startBench } from './helpers/start.ts'

const home = '111122223333'
const issuer = 'https://issuer.example/tenant'
const provider = `arn:aws:iam::${home}:oidc-provider/issuer.example/tenant`
const roleArn = `arn:aws:iam::${home}:role/Deploy`

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const other = generateKeyPairSync('rsa', { modulusLength: 2048 })
const jwk = (key: KeyObject, kid: string) => ({ ...key.export({ format: 'jwk' }), kid, use: 'sig' })
const jwks = { keys: [jwk(rsa.publicKey, 'r'), jwk(p256.publicKey, 'e'), jwk(p384.publicKey, 'f')] }

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

function token (claims: object, { key = rsa.privateKey, alg = 'RS256', kid = 'r' }: { key?: KeyObject, alg?: string, kid?: string | null } = {}): string {
  const nowSeconds = Math.floor(Date.now() / 1000)
  const head = encode({ alg, typ: 'JWT', ...(kid === null ? {} : { kid }) })
  const body = encode({ iss: issuer, aud: 'sts.amazonaws.com', sub: 'lease:1', iat: nowSeconds, exp: nowSeconds + 300, ...claims })
  const signature = sign(`sha${alg.slice(2)}`, Buffer.from(`${head}.${body}`), { key, dsaEncoding: 'ieee-p1363' })
  return `${head}.${body}.${signature.toString('base64url')}`
}

const trustOf = (providerArn: string, host: string) => policy([
  { Effect: 'Allow', Principal: { Federated: providerArn }, Action: ['sts:AssumeRoleWithWebIdentity', 'sts:TagSession', 'sts:SetSourceIdentity'], Condition: { StringLike: { [`${host}:sub`]: 'lease:*' }, StringEquals: { [`${host}:aud`]: 'sts.amazonaws.com' } } }
])

async function start (t: Test, more: { url?: string, given?: boolean } = {}) {
  const url = more.url ?? issuer
  const host = url.replace(/^https?:\/\//, '')
  const providerArn = `arn:aws:iam::${home}:oidc-provider/${host}`
  const bench = await startBench(t, {
    seed: {
      accounts: [{
        id: home,
        roles: [{ name: 'Deploy', trust: trustOf(providerArn, host), maxSessionSeconds: 43_200, policies: { all: allowAll } }],
        oidcProviders: [{ url, clientIds: ['sts.amazonaws.com', 'second'], ...(more.given === false ? {} : { jwks }) }]
      }]
    }
  })
  // No credentials: the call is not signed.
  const client = new STSClient({ endpoint: bench.emulator.endpoint, region: 'eu-west-1', maxAttempts: 1, credentials: { accessKeyId: 'none', secretAccessKey: 'none' } })
  t.teardown(() => client.destroy())
  const assume = (WebIdentityToken: string, input: Partial<AssumeRoleWithWebIdentityCommandInput> = {}) =>
    client.send(new AssumeRoleWithWebIdentityCommand({ RoleArn: roleArn, RoleSessionName: 'run-1', WebIdentityToken, ...input }))
  return { ...bench, assume }
}

t.test('a token of a registered issuer gives a session of up to twelve hours, with the token\'s tags and source', async (t) => {
  const { assume, sts, ec2, emulator } = await start(t)
  const answer = await assume(token({
    'https://aws.amazon.com/tags': { principal_tags: { run: ['7'] }, transitive_tag_keys: ['run'] },
    'https://aws.amazon.com/source_identity': 'lease-1'
  }), { DurationSeconds: 43_200 })
  t.match(answer, {
    SubjectFromWebIdentityToken: 'lease:1', Provider: provider, Audience: 'sts.amazonaws.com', SourceIdentity: 'lease-1',
    AssumedRoleUser: { Arn: `arn:aws:sts::${home}:assumed-role/Deploy/run-1` }
  })
  const keys = { accessKeyId: answer.Credentials?.AccessKeyId ?? '', secretAccessKey: answer.Credentials?.SecretAccessKey ?? '', sessionToken: answer.Credentials?.SessionToken ?? '' }
  t.match(await sts(keys).send(new GetCallerIdentityCommand({})), { Arn: answer.AssumedRoleUser?.Arn })
  t.equal((await ec2(keys, 'DescribeVpcs')).status, 200)
  const [event] = emulator.trail({ eventName: 'AssumeRoleWithWebIdentity' })
  t.match(event, { recipientAccountId: home, userIdentity: { type: 'WebIdentityUser' } })
  t.notMatch(JSON.stringify(event), 'webIdentityToken')
})

t.test('every signing algorithm that AWS takes', async (t) => {
  const { assume } = await start(t)
  for (const alg of ['RS256', 'RS384', 'RS512']) await t.resolves(assume(token({}, { alg })), alg)
  await t.resolves(assume(token({}, { alg: 'ES256', key: p256.privateKey, kid: 'e' })))
  await t.resolves(assume(token({}, { alg: 'ES384', key: p384.privateKey, kid: 'f' })))
  await t.resolves(assume(token({}, { kid: null })), 'without a key id any key of the kind may serve')
})

t.test('tokens that prove nothing', async (t) => {
  const { assume } = await start(t)
  const nowSeconds = Math.floor(Date.now() / 1000)
  const refused: [string, string, string | RegExp, number?][] = [
    ['not.a.jwt', 'InvalidIdentityTokenException', /not a valid JWT/],
    [token({ iss: 'https://elsewhere.example' }), 'InvalidIdentityTokenException', 'No OpenIDConnect provider found in your account for https://elsewhere.example'],
    [token({ aud: 'third' }), 'InvalidIdentityTokenException', 'Incorrect token audience'],
    [token({ exp: nowSeconds - 1 }), 'ExpiredTokenException', /^Token expired: current date\/time \d+ must be before the expiration date\/time \d+$/],
    [token({ nbf: nowSeconds + 3600 }), 'InvalidIdentityTokenException', /not valid yet/],
    [token({ sub: undefined }), 'InvalidIdentityTokenException', /required claim/],
    [token({}, { key: other.privateKey }), 'InvalidIdentityTokenException', /signature/],
    [token({}, { kid: 'unknown' }), 'InvalidIdentityTokenException', /^Couldn't retrieve verification key from your identity provider/],
    [token({}).replace(/\.[\w-]+\./, `.${encode({ iss: issuer, aud: 'sts.amazonaws.com', sub: 'lease:2', iat: nowSeconds, exp: nowSeconds + 300 })}.`), 'InvalidIdentityTokenException', /signature/],
    [`${encode({ alg: 'none' })}.${token({}).split('.')[1]}.AA`, 'InvalidIdentityTokenException', /signature/],
    [token({ sub: 'user:1' }), 'AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity', 403],
    [token({ aud: 'second' }), 'AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity', 403]
  ]
  for (const [text, name, message, status = 400] of refused) {
    await t.rejects(assume(text), { name, message, $metadata: { httpStatusCode: status } })
  }
  await t.rejects(assume(token({}), { RoleArn: `arn:aws:iam::${home}:role/Absent` }), { name: 'AccessDenied' })
  await t.rejects(assume('x', { RoleSessionName: '!' }), { name: 'ValidationError', message: /^3 validation errors/ })
})

t.test('keys are fetched from an issuer on loopback, and asked for again when one is new', async (t) => {
  let served: object = { keys: [jwk(p256.publicKey, 'e')] }
  let asked = 0
  const server = createServer((request, response) => {
    if (request.url === '/jwks') asked++
    const { port } = server.address() as AddressInfo
    response.end(JSON.stringify(request.url === '/jwks' ? served : { jwks_uri: `http://127.0.0.1:${port}/jwks` }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { assume } = await start(t, { url, given: false })
  const made = (kid: string, key: KeyObject, alg: string) => token({ iss: url }, { kid, key, alg })
  await t.resolves(assume(made('e', p256.privateKey, 'ES256')))
  await t.resolves(assume(made('e', p256.privateKey, 'ES256')))
  t.equal(asked, 1)
  served = jwks
  await t.resolves(assume(made('r', rsa.privateKey, 'RS256')))
  t.equal(asked, 2)
  await t.rejects(assume(made('q', rsa.privateKey, 'RS256')), { name: 'InvalidIdentityTokenException' })
})

t.test('an issuer that cannot be reached, and one that is not on loopback', async (t) => {
  const closed = await start(t, { url: 'http://127.0.0.1:9', given: false })
  await t.rejects(closed.assume(token({ iss: 'http://127.0.0.1:9' })), { name: 'IDPCommunicationErrorException', $metadata: { httpStatusCode: 400 } })
  const far = await start(t, { given: false })
  await t.rejects(far.assume(token({})), { name: 'InvalidIdentityTokenException', message: /Couldn't retrieve/ })
})
