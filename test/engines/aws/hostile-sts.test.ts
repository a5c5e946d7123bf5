import { deflateSync, gzipSync, brotliCompressSync } from 'node:zlib'
import t from 'tap'
import { CredentialUncertain } from '../../../src/core/backend.ts'
import { BrokerError } from '../../../src/core/errors.ts'
import { parseEndpoint } from '../../../src/engines/aws/egress.ts'
import { createSdkSts } from '../../../src/engines/aws/sdk.ts'
import { StsUncertain } from '../../../src/engines/aws/sts.ts'
import { assumed, closedPort, createEngineRig, demoArn, refused, startSts, type Answer, type Seen } from './rig.ts'
import type { Socket } from 'node:net'

type Hostility = (seen: Seen, socket: Socket) => Answer | null

const later = (ms: number) => new Date(Date.now() + ms).toISOString()

function raw (text: string, end = true): Hostility {
  return (_seen, socket) => {
    socket.write(text)
    if (end) socket.end()
    return null
  }
}

/** Answers after which nobody knows whether a credential was minted. */
const uncertain: Readonly<Record<string, Hostility>> = {
  'FLT-053: a connection reset in mid-answer': (_seen, socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: 5000\r\n\r\n<AssumeRole')
    setImmediate(() => socket.resetAndDestroy())
    return null
  },
  'FLT-053: a connection closed without an answer': (_seen, socket) => {
    socket.end()
    return null
  },
  'FLT-053: a truncated chunk': raw('HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ntransfer-encoding: chunked\r\n\r\n40\r\n<AssumeRoleResponse>'),
  'FLT-053: something that is no HTTP': raw('220 smtp.example ESMTP\r\n'),
  'FLT-054: an HTML page': () => ({ headers: { 'content-type': 'text/html' }, body: '<html><body>busy</body></html>' }),
  'FLT-054: HTML that calls itself XML': () => ({ body: '<html><body>busy</body></html>' }),
  'FLT-054: a 500 of STS itself': () => refused(500, 'InternalFailure', 'oops'),
  'FLT-054: a 503 without a body': () => ({ status: 503, body: '' }),
  'FLT-054: an answer of another kind of status': () => ({ status: 202 }),
  'FLT-055: an empty answer': () => ({ body: '' }),
  'FLT-055: truncated XML': ({ form }) => ({ body: assumed(form).slice(0, 300) }),
  'FLT-055: two megabytes': ({ form }) => ({ body: assumed(form, { before: `<?xml version="1.0"?>${' '.repeat(2_097_152)}` }) }),
  'FLT-055: a gzip body': ({ form }) => ({ headers: { 'content-encoding': 'gzip' }, body: gzipSync(assumed(form)) }),
  'FLT-055: a brotli body': ({ form }) => ({ headers: { 'content-encoding': 'br' }, body: brotliCompressSync(assumed(form)) }),
  'FLT-055: a deflate body that is not announced': ({ form }) => ({ body: deflateSync(assumed(form)) }),
  'FLT-055: an entity of its own': ({ form }) => ({
    body: assumed(form, { before: '<!DOCTYPE x [<!ENTITY a "ASIA">]>' })
  }),
  'FLT-055: a reference to an entity': ({ form }) => ({ body: assumed(form, { accessKeyId: '&a;' }) }),
  'FLT-055: no credentials': ({ form }) => ({ body: assumed(form, { credentials: '' }) }),
  'FLT-055: no secret key': ({ form }) => ({
    body: assumed(form, { credentials: `<Credentials><AccessKeyId>ASIA0000000000000000</AccessKeyId><SessionToken>t</SessionToken><Expiration>${later(900_000)}</Expiration></Credentials>` })
  }),
  'FLT-055: credentials twice': ({ form }) => {
    const one = '<Credentials><AccessKeyId>ASIA0000000000000000</AccessKeyId></Credentials>'
    return { body: assumed(form, { credentials: one + one }) }
  },
  'FLT-055: an access key id that is none': ({ form }) => ({ body: assumed(form, { accessKeyId: 'x y' }) }),
  'FLT-055: an end in the past': ({ form }) => ({ body: assumed(form, { expiration: later(-1000) }) }),
  'FLT-055: an end a year ahead': ({ form }) => ({ body: assumed(form, { expiration: later(31_536_000_000) }) }),
  'FLT-055: an end that is no time': ({ form }) => ({ body: assumed(form, { expiration: 'tomorrow' }) }),
  'SEC-160: a session in another account': ({ form }) => ({
    body: assumed(form, { arn: `arn:aws:sts::999999999999:assumed-role/demo/${form.get('RoleSessionName')}` })
  }),
  'SEC-160: a session of another role': ({ form }) => ({
    body: assumed(form, { arn: `arn:aws:sts::123456789012:assumed-role/other/${form.get('RoleSessionName')}` })
  }),
  'SEC-160: a session of another name': ({ form }) => ({ body: assumed(form, { id: 'AROAEXAMPLE:somebody' }) })
}

t.test('SEC-165, SEC-148, SEC-163: an answer that cannot be used is uncertain, after exactly one signed request', async (t) => {
  for (const [name, hostility] of Object.entries(uncertain)) {
    await t.test(name, async (t) => {
      const elsewhere = await startSts(() => ({}))
      const sts = await startSts((seen, socket) => hostility(seen, socket))
      t.teardown(async () => { await Promise.all([sts.close(), elsewhere.close()]) })
      const rig = createEngineRig()
      await rig.configure(sts.url)
      await rig.write('roles/demo', { credential_type: 'assumed_role', role_arns: demoArn })
      const error = await rig.vend('sts/demo').catch((error: unknown) => error)
      t.type(error, CredentialUncertain)
      if (error instanceof CredentialUncertain) {
        t.match(error.publicMessage, /^Error assuming role: .+, request b9a1c6c2-/)
        t.notMatch(error.publicMessage, /ASIA|wJalr|token-of/, 'nothing of the answer is told')
      }
      t.equal(sts.seen.length, 1)
      t.match(sts.seen[0]?.headers, { authorization: /^AWS4-HMAC-SHA256 Credential=AKIAEXAMPLEEXAMPLE00\//, 'accept-encoding': 'identity' })
      t.equal(elsewhere.seen.length, 0)
      rig.engine.close()
    })
  }
})

t.test('SEC-163: redirects are never followed, and no signed header reaches a second host', async (t) => {
  const elsewhere = await startSts(() => ({}))
  const rig = createEngineRig()
  let status = 301
  const sts = await startSts(() => ({ status, headers: { location: elsewhere.url }, body: '' }))
  t.teardown(async () => { await Promise.all([sts.close(), elsewhere.close()]) })
  await rig.configure(sts.url)
  await rig.write('roles/demo', { credential_type: 'assumed_role', role_arns: demoArn })
  for (status of [301, 302, 303, 307, 308]) {
    await t.rejects(rig.vend('sts/demo'), { name: 'CredentialUncertain' }, String(status))
  }
  t.equal(sts.seen.length, 5)
  t.equal(elsewhere.seen.length, 0)
})

t.test('SEC-168: what STS says of the caller\'s request is told, trouble with the broker\'s own identity is not', async (t) => {
  const rig = createEngineRig()
  let answer: Answer = {}
  const sts = await startSts(() => answer)
  t.teardown(() => sts.close())
  await rig.configure(sts.url)
  await rig.write('roles/demo', { credential_type: 'assumed_role', role_arns: demoArn })
  const refusal = async (given: Answer) => {
    answer = given
    const error = await rig.vend('sts/demo').catch((error: unknown) => error)
    if (!(error instanceof BrokerError)) throw new Error('expected a refusal', { cause: error })
    return error
  }
  for (const [status, code] of [[403, 'AccessDenied'], [400, 'ValidationError'], [400, 'PackedPolicyTooLarge'], [400, 'MalformedPolicyDocument'], [403, 'RegionDisabledException']] as const) {
    const error = await refusal(refused(status, code, 'the words of AWS'))
    t.equal(error.code, 'invalid_request')
    t.equal(error.message, `Error assuming role: ${code}: the words of AWS`)
  }
  const masked = await refusal(refused(403, 'AccessDenied', 'key AKIAABCDEFGHIJKLMNOP &#13;&#10;&#7;is not liked'))
  t.equal(masked.message, 'Error assuming role: AccessDenied: key AKIA**** is not liked')
  t.equal((await refusal(refused(400, 'ValidationError', 'x'.repeat(5000)))).message.length, 1024 + 'Error assuming role: ValidationError: '.length)
  for (const code of ['SignatureDoesNotMatch', 'InvalidClientTokenId', 'ExpiredToken', 'IncompleteSignature', 'SomethingNew']) {
    const error = await refusal(refused(403, code, 'The Canonical String for this request should have been POST / secret'))
    t.equal(error.message, 'Error assuming role: AWS STS did not accept the broker\'s own request, request b9a1c6c2-7c57-4c3b-9a3e-5f2b8c1d0e9f')
  }
})

t.test('FLT-051: throttling is told with its words and when to come back; each vend was one call', async (t) => {
  const rig = createEngineRig()
  const answers = [
    refused(400, 'Throttling', 'Rate exceeded'),
    refused(503, 'Throttling', 'Rate exceeded', { 'retry-after': '7' }),
    refused(429, 'RequestLimitExceeded', 'Rate exceeded')
  ]
  const sts = await startSts(() => answers.shift() ?? {})
  t.teardown(() => sts.close())
  await rig.configure(sts.url, { max_retries: 5 })
  await rig.write('roles/demo', { credential_type: 'assumed_role', role_arns: demoArn })
  await t.rejects(rig.vend('sts/demo'), { code: 'upstream_throttled', message: 'Error assuming role: Throttling: Rate exceeded' })
  await t.rejects(rig.vend('sts/demo'), { code: 'upstream_throttled', message: 'Error assuming role: Throttling: Rate exceeded, retry after 7 s' })
  await t.rejects(rig.vend('sts/demo'), { code: 'upstream_throttled', message: 'Error assuming role: RequestLimitExceeded: Rate exceeded' })
  t.equal(sts.seen.length, 3)
})

t.test('a port on which nobody listens is a certain refusal: nothing was sent', async (t) => {
  const rig = createEngineRig()
  await rig.configure(`http://127.0.0.1:${await closedPort()}`)
  await rig.write('roles/demo', { credential_type: 'assumed_role', role_arns: demoArn })
  await t.rejects(rig.vend('sts/demo'), { name: 'BrokerError', code: 'invalid_request', message: /^Error assuming role: AWS STS could not be reached, request / })
})

t.test('FLT-050, FLT-052: STS that never answers is given up at the deadline, and the fate is uncertain', async (t) => {
  const sts = await startSts(() => null)
  t.teardown(() => sts.close())
  const client = createSdkSts({
    endpoint: parseEndpoint('sts_endpoint', sts.url, 'sts', { development: true, allowedHosts: [] }),
    region: 'us-east-1',
    credentials: async () => ({ accessKeyId: 'AKIAEXAMPLEEXAMPLE00', secretAccessKey: 'secret' }),
    clock: Date,
    socketsMax: 4,
    deadlineMs: 300
  })
  const startedMs = performance.now()
  await t.rejects(client.call({ action: 'GetSessionToken', durationSeconds: 900, mfa: null }), StsUncertain)
  t.ok(performance.now() - startedMs < 5000)
  t.equal(sts.seen.length, 1)
  client.close()
})

t.test('FLT-052: bytes that drip in forever do not move the deadline', async (t) => {
  const sts = await startSts((_seen, socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: 100000\r\n\r\n')
    const drip = setInterval(() => { socket.write('x') }, 20)
    socket.on('error', () => {}).once('close', () => { clearInterval(drip) })
    return null
  })
  t.teardown(() => sts.close())
  const client = createSdkSts({
    endpoint: parseEndpoint('sts_endpoint', sts.url, 'sts', { development: true, allowedHosts: [] }),
    region: 'us-east-1',
    credentials: async () => ({ accessKeyId: 'AKIAEXAMPLEEXAMPLE00', secretAccessKey: 'secret' }),
    clock: Date,
    socketsMax: 4,
    deadlineMs: 300
  })
  await t.rejects(client.call({ action: 'GetSessionToken', durationSeconds: 900, mfa: null }), StsUncertain)
  client.close()
})
