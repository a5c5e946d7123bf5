import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import path from 'node:path'
import t from 'tap'
import { startEmulator } from '../../src/emulator/server.ts'
import { canonicalRequest, stringToSign } from '../../src/emulator/signature/canonical.ts'
import { findClaim } from '../../src/emulator/signature/credential.ts'
import { post, signedHeaders, type Keys } from './helpers/sign.ts'

interface Vector {
  readonly signer: string
  readonly name: string
  readonly service: string
  readonly method: string
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly keys: 'long' | 'session'
}

// Made once with @smithy/signature-v4 and with botocore, which share no code with this project or each other.
const { nowMs, keys, vectors }: { nowMs: number, keys: Record<'long' | 'session', Keys>, vectors: Vector[] } =
  JSON.parse(readFileSync(path.join(import.meta.dirname, 'vectors/sigv4.json'), 'utf8'))

const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()

function incoming ({ method, target, headers, body }: Vector) {
  const [pathPart = '', ...query] = target.split('?')
  return {
    method, path: pathPart, query: query.join('?'), headers: new Map(Object.entries(headers)), body: Buffer.from(body), sourceIp: '127.0.0.1'
  }
}

t.test('signatures of two independent signers are the ones computed here', async (t) => {
  t.equal(vectors.length, 22)
  for (const vector of vectors) {
    const request = incoming(vector)
    const claim = findClaim(request)
    if (claim === null) throw new Error('no signature found')
    const secret = `AWS4${keys[vector.keys].secretAccessKey}`
    const key = [claim.scopeDay, claim.region, claim.service, 'aws4_request'].reduce(hmac as (key: string | Buffer, text: string) => Buffer, secret as string | Buffer)
    t.equal(hmac(key, stringToSign(canonicalRequest(request, claim), claim)).toString('hex'), claim.signature, `${vector.signer}: ${vector.name}`)
    t.equal(claim.timestamp, '20260115T120000Z')
  }
})

const seed = {
  accounts: [{
    id: '111122223333',
    users: [{
      name: 'signer',
      accessKeys: [{ id: keys.long.accessKeyId, secret: keys.long.secretAccessKey }],
      policies: { all: { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] } }
    }],
    hostedZones: ['one.example', 'two.example'],
    buckets: ['first']
  }]
}

function send (port: number, { method, target, headers, body }: Pick<Vector, 'method' | 'target' | 'headers' | 'body'>) {
  return new Promise<{ status: number, text: string }>((resolve, reject) => {
    const request = httpRequest({ port, host: '127.0.0.1', method, path: target, headers }, (response) => {
      let text = ''
      response.on('data', (chunk) => { text += chunk }).on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    request.on('error', reject).end(body)
  })
}

t.test('over the wire every change to a signed request is refused', async (t) => {
  const emulator = await startEmulator({ seed, clock: () => nowMs })
  t.teardown(() => emulator.close())
  const refused = /<Code>(?:SignatureDoesNotMatch|AuthFailure)<\/Code>/
  for (const vector of vectors.filter(({ keys, service }) => keys === 'long' && service !== 'execute-api')) {
    const name = `${vector.signer}: ${vector.name}`
    const good = await send(emulator.port, vector)
    t.notMatch(good.text, /Signature/, `${name}: accepted`)
    const longer = vector.target.includes('?') ? `${vector.target}&more=1` : `${vector.target}?more=1`
    t.match((await send(emulator.port, { ...vector, target: longer })).text, refused, `${name}: a parameter more`)
    const signed = new Map(Object.entries(vector.headers))
    signed.set('host', `${signed.get('host')}x`)
    t.match((await send(emulator.port, { ...vector, headers: Object.fromEntries(signed) })).text, refused, `${name}: another host`)
    if (vector.method === 'POST') {
      t.match((await send(emulator.port, { ...vector, body: `${vector.body}&A=1` })).text, refused, `${name}: another body`)
    }
  }
})

t.test('what is wrong with a signature is said in AWS\'s words', async (t) => {
  const emulator = await startEmulator({ seed, clock: () => nowMs })
  t.teardown(() => emulator.close())
  const form = { Action: 'GetCallerIdentity', Version: '2011-06-15' }
  const at = (change: object) => post(emulator.endpoint, keys.long, form, { nowMs, ...change })
  const body = new URLSearchParams(form).toString()
  const host = new URL(emulator.endpoint).host
  const headers = signedHeaders({ method: 'POST', host, target: '/', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body }, keys.long, { service: 'sts', region: 'us-east-1', nowMs })
  const altered = (changed: Record<string, string>) =>
    send(emulator.port, { method: 'POST', target: '/', body, headers: { ...headers, ...changed } })
  const authorization = headers['authorization'] ?? ''

  t.equal((await at({})).status, 200)
  const cases: [string, Promise<{ status: number, text: string }>, number, RegExp][] = [
    ['no signature', send(emulator.port, { method: 'POST', target: '/', body, headers: { 'content-type': headers['content-type'] ?? '' } }), 403, /<Code>MissingAuthenticationToken<\/Code><Message>Request is missing Authentication Token/],
    ['another secret', post(emulator.endpoint, { ...keys.long, secretAccessKey: 'x'.repeat(40) }, form, { nowMs }), 403, /<Code>SignatureDoesNotMatch<\/Code><Message>The request signature we calculated does not match/],
    ['an unknown key', post(emulator.endpoint, { ...keys.long, accessKeyId: 'AKIAUNKNOWNUNKNOWN00' }, form, { nowMs }), 403, /<Code>InvalidClientTokenId<\/Code><Message>The security token included in the request is invalid\./],
    ['a made-up session token', post(emulator.endpoint, { ...keys.long, sessionToken: 'AAAA' }, form, { nowMs }), 403, /<Code>InvalidClientTokenId<\/Code>/],
    ['another service', at({ service: 'iam' }), 403, /<Code>SignatureDoesNotMatch<\/Code><Message>Credential should be scoped to correct service: &#39;sts&#39;/],
    ['another region', at({ region: 'xx-east-9' }), 403, /<Code>SignatureDoesNotMatch<\/Code><Message>Credential should be scoped to a valid region/],
    ['too old', at({ nowMs: nowMs - 901_000 }), 403, /<Code>SignatureDoesNotMatch<\/Code><Message>Signature expired: 20260115T114459Z is now earlier than 20260115T114500Z \(20260115T120000Z - 15 min\.\)/],
    ['too new', at({ nowMs: nowMs + 901_000 }), 403, /<Code>SignatureDoesNotMatch<\/Code><Message>Signature not yet current: 20260115T121501Z is still later than 20260115T121500Z/],
    ['another algorithm', altered({ authorization: authorization.replace('SHA256', 'MD5') }), 400, /<Code>IncompleteSignature<\/Code>/],
    ['no signature in the header', altered({ authorization: authorization.replace(/, Signature=.*/, '') }), 400, /IncompleteSignature<\/Code><Message>Authorization header requires &#39;Signature&#39; parameter/],
    ['a scope of four parts', altered({ authorization: authorization.replace('/sts/', '/') }), 400, /IncompleteSignature<\/Code><Message>Credential must have exactly 5/],
    ['another day in the scope', altered({ authorization: authorization.replace('/20260115/', '/20260114/') }), 403, /SignatureDoesNotMatch<\/Code><Message>Date in Credential scope does not match/],
    ['another end of the scope', altered({ authorization: authorization.replace('aws4_request', 'aws5_request') }), 403, /SignatureDoesNotMatch<\/Code><Message>Credential should be scoped with a valid terminator/],
    ['host not signed', altered({ authorization: authorization.replace('host;', '') }), 403, /SignatureDoesNotMatch<\/Code><Message>&#39;Host&#39;/],
    ['a date that is none', altered({ 'x-amz-date': 'yesterday' }), 400, /IncompleteSignature/],
    ['an x-amz header that is not signed', altered({ 'x-amz-target': 'x' }), 403, /not signed: x-amz-target/]
  ]
  for (const [name, answer, status, words] of cases) {
    const { status: found, text } = await answer
    t.equal(found, status, name)
    t.match(text, words, name)
  }
})

t.test('a presigned request lives as long as it says, by the emulator\'s clock', async (t) => {
  const emulator = await startEmulator({ seed, clock: () => nowMs })
  t.teardown(() => emulator.close())
  const presigned = vectors.filter(({ name }) => name === 'presigned GetCallerIdentity')
  t.equal(presigned.length, 2)
  for (const vector of presigned) t.equal((await send(emulator.port, vector)).status, 200)
  emulator.clock.advance(61_000)
  for (const vector of presigned) t.match((await send(emulator.port, vector)).text, /Signature expired/)
})
