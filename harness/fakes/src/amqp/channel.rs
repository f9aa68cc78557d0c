//! One connection's channels: what each method does, in the order and with the answers of the protocol.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame};
use amq_protocol::protocol::{AMQPClass, basic, channel, confirm, exchange, queue};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::BrokerFake;
use super::delivery::Channel;
use super::frames::{content, method};
use super::queue::Message;
use super::refusal::Refusal;

/// Answer of a method; none where it asked for none.
type Reply = Option<AMQPClass>;

/// The channels of one connection.
pub(crate) struct Channels {
    fake: Arc<BrokerFake>,
    conn: u64,
    out: UnboundedSender<Vec<AMQPFrame>>,
    open: BTreeMap<u16, Open>,
}

#[derive(Default)]
struct Open {
    /// The broker has closed it and waits for the client to say that it knows.
    closing: bool,
    /// Messages published since confirms were asked for.
    confirms: Option<u64>,
    incoming: Option<Incoming>,
    tags: u64,
}

/// A message of which not all has come yet.
struct Incoming {
    publish: basic::Publish,
    header: Option<AMQPContentHeader>,
    body: Vec<u8>,
}

impl Channels {
    pub fn new(fake: Arc<BrokerFake>, conn: u64, out: UnboundedSender<Vec<AMQPFrame>>) -> Channels {
        Channels { fake, conn, out, open: BTreeMap::new() }
    }

    fn say(&self, frames: Vec<AMQPFrame>) {
        // The connection that reads this is the one that calls.
        let _ = self.out.send(frames);
    }

    /// Takes a frame of a channel. What is refused so that the connection must end comes back with the method's ids.
    pub fn take(&mut self, frame: AMQPFrame) -> Result<(), (Refusal, u16, u16)> {
        let number = frame.channel_id();
        let (class_id, method_id) = match &frame {
            AMQPFrame::Method(_, class) => (class.get_amqp_class_id(), class.get_amqp_method_id()),
            _ => (0, 0),
        };
        match self.dispatch(number, frame) {
            Ok(()) => Ok(()),
            Err(refusal) if refusal.hard => Err((refusal, class_id, method_id)),
            Err(refusal) => {
                self.fake.state().close_channel((self.conn, number));
                if let Some(open) = self.open.get_mut(&number) {
                    *open = Open { closing: true, ..Open::default() };
                }
                self.say(vec![method(number, refusal.close(class_id, method_id))]);
                Ok(())
            }
        }
    }

    fn dispatch(&mut self, number: u16, frame: AMQPFrame) -> Result<(), Refusal> {
        let closing = self.open.get(&number).map(|open| open.closing);
        match (frame, closing) {
            (AMQPFrame::Method(_, AMQPClass::Channel(channel::AMQPMethod::CloseOk(_))), Some(true)) => {
                self.open.remove(&number);
                Ok(())
            }
            (_, Some(true)) => Ok(()),
            (AMQPFrame::Method(_, AMQPClass::Channel(asked)), _) => self.channel(number, asked),
            (_, None) => Err(Refusal::channel("expected 'channel.open'")),
            (AMQPFrame::Method(_, AMQPClass::Basic(basic::AMQPMethod::Publish(publish))), _) => {
                self.at_rest(number)?;
                self.opened(number).incoming = Some(Incoming { publish, header: None, body: Vec::new() });
                Ok(())
            }
            (AMQPFrame::Method(_, asked), _) => {
                self.at_rest(number)?;
                let reply = self.answer(number, asked)?;
                self.say(reply.map(|reply| method(number, reply)).into_iter().collect());
                // Deliveries follow the answer.
                self.fake.pump_all();
                Ok(())
            }
            (AMQPFrame::Header(_, header), _) => self.header(number, header),
            (AMQPFrame::Body(_, piece), _) => self.body(number, piece),
            _ => Err(Refusal::unexpected("expected a method frame")),
        }
    }

    fn opened(&mut self, number: u16) -> &mut Open {
        self.open.get_mut(&number).expect("it was found open")
    }

    fn at_rest(&mut self, number: u16) -> Result<(), Refusal> {
        match self.opened(number).incoming {
            None => Ok(()),
            Some(_) => Err(Refusal::unexpected("expected content, got a method frame")),
        }
    }

    fn channel(&mut self, number: u16, asked: channel::AMQPMethod) -> Result<(), Refusal> {
        use channel::AMQPMethod as M;
        let at = (self.conn, number);
        let reply = match (asked, self.open.contains_key(&number)) {
            (M::Open(_), false) if number > 0 => {
                self.open.insert(number, Open::default());
                self.fake.state().channels.insert(at, Channel::new(self.out.clone()));
                M::OpenOk(channel::OpenOk {})
            }
            (M::Open(_), _) => return Err(Refusal::channel("second 'channel.open' seen")),
            (M::Close(_), true) => {
                self.fake.state().close_channel(at);
                self.open.remove(&number);
                M::CloseOk(channel::CloseOk {})
            }
            (M::Flow(flow), true) if flow.active => M::FlowOk(channel::FlowOk { active: true }),
            (M::Flow(_), true) => return Err(Refusal::not_implemented("active=false")),
            _ => return Err(Refusal::channel("expected 'channel.open'")),
        };
        self.say(vec![method(number, AMQPClass::Channel(reply))]);
        Ok(())
    }

    fn answer(&mut self, number: u16, asked: AMQPClass) -> Result<Reply, Refusal> {
        match asked {
            AMQPClass::Exchange(asked) => self.exchange(asked),
            AMQPClass::Queue(asked) => self.queue(asked),
            AMQPClass::Basic(asked) => self.basic(number, asked),
            AMQPClass::Confirm(confirm::AMQPMethod::Select(asked)) => {
                self.opened(number).confirms.get_or_insert(0);
                let ok = AMQPClass::Confirm(confirm::AMQPMethod::SelectOk(confirm::SelectOk {}));
                Ok((!asked.nowait).then_some(ok))
            }
            AMQPClass::Connection(_) => Err(Refusal::unexpected("a method of the connection on a channel")),
            other => {
                let what = format!("class {} is not taken", other.get_amqp_class_id());
                Err(Refusal::not_implemented(&what))
            }
        }
    }

    fn exchange(&mut self, asked: exchange::AMQPMethod) -> Result<Reply, Refusal> {
        use exchange::AMQPMethod as M;
        let mut state = self.fake.state();
        let (nowait, reply) = match asked {
            M::Declare(asked) => {
                state.declare_exchange(&asked)?;
                (asked.nowait, M::DeclareOk(exchange::DeclareOk {}))
            }
            M::Delete(asked) => {
                state.delete_exchange(&asked)?;
                (asked.nowait, M::DeleteOk(exchange::DeleteOk {}))
            }
            _ => return Err(Refusal::not_implemented("bindings between exchanges")),
        };
        Ok((!nowait).then_some(AMQPClass::Exchange(reply)))
    }

    fn queue(&mut self, asked: queue::AMQPMethod) -> Result<Reply, Refusal> {
        use queue::AMQPMethod as M;
        let (mut state, conn) = (self.fake.state(), self.conn);
        let (nowait, reply) = match asked {
            M::Declare(asked) => {
                let (queue, message_count, consumer_count) = state.declare_queue(conn, &asked)?;
                let ok = queue::DeclareOk { queue: queue.into(), message_count, consumer_count };
                (asked.nowait, M::DeclareOk(ok))
            }
            M::Bind(asked) => {
                state.bind(conn, &asked)?;
                (asked.nowait, M::BindOk(queue::BindOk {}))
            }
            M::Unbind(asked) => {
                state.unbind(conn, &asked)?;
                (false, M::UnbindOk(queue::UnbindOk {}))
            }
            M::Purge(asked) => {
                let message_count = state.accessible(conn, asked.queue.as_str())?.ready.drain(..).count() as u32;
                (asked.nowait, M::PurgeOk(queue::PurgeOk { message_count }))
            }
            M::Delete(asked) => {
                let message_count = state.delete_queue(conn, &asked)?;
                (asked.nowait, M::DeleteOk(queue::DeleteOk { message_count }))
            }
            _ => return Err(Refusal::command("an answer, not a question")),
        };
        Ok((!nowait).then_some(AMQPClass::Queue(reply)))
    }

    fn basic(&mut self, number: u16, asked: basic::AMQPMethod) -> Result<Reply, Refusal> {
        use basic::AMQPMethod as M;
        let at = (self.conn, number);
        let reply = match asked {
            M::Qos(asked) => {
                self.fake.state().set_prefetch(at, asked.prefetch_count);
                M::QosOk(basic::QosOk {})
            }
            M::Consume(asked) => {
                let mut tag = asked.consumer_tag.as_str().to_owned();
                if tag.is_empty() {
                    let open = self.opened(number);
                    open.tags += 1;
                    tag = format!("amq.ctag-{}-{number}-{}", at.0, open.tags);
                }
                self.fake.state().consume(at, &asked, &tag)?;
                if asked.nowait {
                    return Ok(None);
                }
                M::ConsumeOk(basic::ConsumeOk { consumer_tag: tag.into() })
            }
            M::Cancel(asked) => {
                self.fake.state().cancel(at, asked.consumer_tag.as_str());
                if asked.nowait {
                    return Ok(None);
                }
                M::CancelOk(basic::CancelOk { consumer_tag: asked.consumer_tag })
            }
            M::Get(asked) => return self.get(number, &asked),
            M::Ack(asked) => {
                self.fake.state().settle(at, asked.delivery_tag, asked.multiple, false)?;
                return Ok(None);
            }
            M::Nack(asked) => {
                self.fake.state().settle(at, asked.delivery_tag, asked.multiple, asked.requeue)?;
                return Ok(None);
            }
            M::Reject(asked) => {
                self.fake.state().settle(at, asked.delivery_tag, false, asked.requeue)?;
                return Ok(None);
            }
            M::Recover(_) | M::RecoverAsync(_) => return Err(Refusal::not_implemented("basic.recover")),
            _ => return Err(Refusal::command("an answer, not a question")),
        };
        Ok(Some(AMQPClass::Basic(reply)))
    }

    fn get(&mut self, number: u16, asked: &basic::Get) -> Result<Reply, Refusal> {
        let got = self.fake.state().get((self.conn, number), asked.queue.as_str(), asked.no_ack)?;
        let Some((delivery_tag, waiting, message_count)) = got else {
            return Ok(Some(AMQPClass::Basic(basic::AMQPMethod::GetEmpty(basic::GetEmpty {}))));
        };
        let message = &waiting.message;
        let carrier = basic::AMQPMethod::GetOk(basic::GetOk {
            delivery_tag,
            redelivered: waiting.redelivered,
            exchange: message.exchange.as_str().into(),
            routing_key: message.routing_key.as_str().into(),
            message_count,
        });
        self.say(content(number, carrier, &message.properties, &message.body));
        Ok(None)
    }

    fn header(&mut self, number: u16, header: AMQPContentHeader) -> Result<(), Refusal> {
        let Some(incoming) = self.opened(number).incoming.as_mut().filter(|incoming| incoming.header.is_none()) else {
            return Err(Refusal::unexpected("expected a method frame, got a content header"));
        };
        incoming.header = Some(header);
        self.complete(number)
    }

    fn body(&mut self, number: u16, piece: Vec<u8>) -> Result<(), Refusal> {
        let Some(incoming) = self.opened(number).incoming.as_mut().filter(|incoming| incoming.header.is_some()) else {
            return Err(Refusal::unexpected("expected a method frame, got a content body"));
        };
        incoming.body.extend(piece);
        self.complete(number)
    }

    /// Publishes the message if all of it is there: returned if it belongs nowhere and must, then confirmed.
    fn complete(&mut self, number: u16) -> Result<(), Refusal> {
        let open = self.opened(number);
        let whole = |incoming: &mut Incoming| {
            incoming.header.as_ref().is_some_and(|header| incoming.body.len() as u64 >= header.body_size)
        };
        let Some(Incoming { publish, header: Some(header), body }) = open.incoming.take_if(whole) else {
            return Ok(());
        };
        if publish.immediate {
            return Err(Refusal::not_implemented("immediate=true"));
        }
        let basic::Publish { exchange, routing_key, mandatory, .. } = publish;
        let expires = match header.properties.expiration().as_ref().map(|text| text.as_str().parse::<u32>()) {
            None => None,
            Some(Ok(ms)) => Some(Instant::now() + Duration::from_millis(ms.into())),
            Some(Err(_)) => return Err(Refusal::precondition("invalid expiration".to_owned())),
        };
        let message = Message {
            exchange: exchange.as_str().to_owned(),
            routing_key: routing_key.as_str().to_owned(),
            properties: header.properties.clone(),
            body: body.clone(),
            expires,
        };
        let routed = self.fake.state().publish(message)?;
        let returned = mandatory && !routed;
        self.fake.record_publish(exchange.as_str(), routing_key.as_str(), if returned { 312 } else { 200 }, body.len());
        let mut frames = Vec::new();
        if returned {
            let reply = basic::Return { reply_code: 312, reply_text: "NO_ROUTE".into(), exchange, routing_key };
            frames.extend(content(number, basic::AMQPMethod::Return(reply), &header.properties, &body));
        }
        if let Some(confirms) = &mut self.opened(number).confirms {
            *confirms += 1;
            let ack = basic::Ack { delivery_tag: *confirms, multiple: false };
            frames.push(method(number, AMQPClass::Basic(basic::AMQPMethod::Ack(ack))));
        }
        self.say(frames);
        Ok(())
    }
}
