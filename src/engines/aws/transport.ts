import { createOutbound, OutboundFailure, type OutboundOptions, type WireAnswer } from '../../core/outbound.ts'
import { StsNotSent, StsUncertain } from './sts.ts'

/** Sends signed POSTs to one endpoint. */
export interface Transport {
  /** @throws StsNotSent, StsUncertain */
  post (headers: Readonly<Record<string, string>>, body: string): Promise<WireAnswer>
  close (): void
}

const uncertain: Readonly<Record<OutboundFailure['reason'], string>> = {
  unreachable: 'AWS STS could not be reached',
  late: 'AWS STS did not answer in time',
  cut: 'the connection to AWS STS broke off',
  'too-large': 'AWS STS answered with more than an answer can hold'
}

/** What goes to STS, and what its silence means. */
export function createTransport (options: OutboundOptions): Transport {
  const outbound = createOutbound(options)
  return {
    async post (headers, body) {
      try {
        return await outbound.send({ method: 'POST', path: '/', headers, body })
      } catch (error) {
        if (!(error instanceof OutboundFailure)) throw error
        if (error.sent) throw new StsUncertain(uncertain[error.reason], { cause: error.cause })
        throw new StsNotSent(uncertain.unreachable, { cause: error.cause })
      }
    },
    close: outbound.close
  }
}
