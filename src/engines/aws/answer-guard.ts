import { isUtf8 } from 'node:buffer'
import type { WireAnswer } from '../../core/outbound.ts'
import { StsUncertain } from './sts.ts'

const elementsMax = 200
const foreignEntity = /&(?!(?:amp|lt|gt|quot|apos|#\d{1,7}|#x[0-9a-fA-F]{1,6});)/

/**
 * Lets through only what STS sends: XML of one known root, without document types, entities of its
 * own, comments or CDATA, uncompressed. Everything else is refused before a parser sees it (SEC-165).
 *
 * @throws StsUncertain, whose message is public.
 */
export function checkWireAnswer (action: string, { status, headers, body }: WireAnswer): void {
  const fault = faultOf(action, status, headers, body)
  if (fault !== null) throw new StsUncertain(fault)
}

function faultOf (action: string, status: number, headers: WireAnswer['headers'], body: Buffer): string | null {
  if (status >= 300 && status < 400) return 'AWS STS answered with a redirect, which is not followed'
  if (status !== 200 && status < 400) return 'AWS STS answered with an unknown status'
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') return 'AWS STS answered in a compressed form'
  if (!/^(?:text|application)\/xml\b/i.test(String(headers['content-type']))) return 'AWS STS did not answer with XML'
  if (!isUtf8(body)) return 'AWS STS answered with malformed XML'
  const text = body.toString('utf8').trim().replace(/^<\?xml[^<>]*\?>\s*/, '')
  const root = status === 200 ? `${action}Response` : 'ErrorResponse'
  const whole = text.startsWith(`<${root}`) && /^[\s>]/.test(text.slice(root.length + 1, root.length + 2)) && text.endsWith(`</${root}>`)
  const plain = !text.includes('<!') && !text.includes('<?') && !foreignEntity.test(text)
  return whole && plain && text.split('<').length <= elementsMax ? null : 'AWS STS answered with malformed XML'
}
