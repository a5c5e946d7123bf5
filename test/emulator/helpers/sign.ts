import { createHash, createHmac } from 'node:crypto'

export interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

export interface Unsigned {
  readonly method: string
  readonly host: string
  /** Path and query, encoded as they are sent. */
  readonly target: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string
}

export interface Scope {
  readonly service: string
  readonly region: string
  readonly nowMs: number
}

const sha256 = (text: string | Buffer) => createHash('sha256').update(text).digest('hex')
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()

/**
 * A third signer, small and plain: only for targets whose query is already sorted and encoded.
 * Gives all headers to send, with Authorization among them.
 */
export function signedHeaders (
  request: Unsigned, keys: Keys, { service, region, nowMs }: Scope
): Record<string, string> {
  const timestamp = new Date(nowMs).toISOString().replace(/[-:]|\.\d+/g, '')
  const day = timestamp.slice(0, 8)
  const headers: Record<string, string> = {
    ...Object.fromEntries(Object.entries(request.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value])),
    host: request.host,
    'x-amz-date': timestamp,
    ...(keys.sessionToken === undefined ? {} : { 'x-amz-security-token': keys.sessionToken })
  }
  const names = Object.keys(headers).toSorted()
  const [path = '/', query = ''] = request.target.split('?')
  const canonical = [
    request.method, path, query, ...names.map((name) => `${name}:${headers[name]?.trim().replace(/ +/g, ' ')}`), '', names.join(';'), sha256(request.body)
  ].join('\n')
  const scope = `${day}/${region}/${service}/aws4_request`
  const text = `AWS4-HMAC-SHA256\n${timestamp}\n${scope}\n${sha256(canonical)}`
  const key = hmac(hmac(hmac(hmac(`AWS4${keys.secretAccessKey}`, day), region), service), 'aws4_request')
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 Credential=${keys.accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${hmac(key, text).toString('hex')}`
  }
}

/** Signs a form for an emulator and sends it; the answer with its text. */
export async function post (
  endpoint: string, keys: Keys, form: Readonly<Record<string, string>>,
  { service = 'sts', region = 'us-east-1', nowMs = Date.now() }: Partial<Scope> = {}
): Promise<{ readonly status: number, readonly text: string, readonly headers: Headers }> {
  const body = new URLSearchParams(form).toString()
  const headers = signedHeaders({
    method: 'POST',
    host: new URL(endpoint).host,
    target: '/',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body
  }, keys, { service, region, nowMs })
  const response = await fetch(endpoint, { method: 'POST', headers, body })
  return { status: response.status, text: await response.text(), headers: response.headers }
}
