//! Open and accept the streams of channels on a peer's connections.
//!
//! libp2p-stream would do nearly this, but drops an inbound stream when two arrive at once, dials peers by itself, and
//! keeps an entry for each connection that ever was.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll, Waker};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::swarm::handler::{ConnectionEvent, DialUpgradeError, StreamUpgradeError};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
    NetworkBehaviour, NotifyHandler, Stream, StreamProtocol, SubstreamProtocol, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

/// What happened to a stream of channel number `channel`.
#[derive(Debug)]
pub(crate) enum StreamEvent {
    /// The peer opened one, to write to us.
    Inbound { channel: usize, stream: Stream },
    /// The one that was asked for is open.
    Opened { channel: usize, stream: Stream },
    /// It could not be opened.
    Failed { channel: usize },
}

/// A request to open a stream of channel number `0`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open(usize);

/// The streams of all peers.
#[derive(Debug)]
pub(crate) struct Streams {
    protocols: Vec<StreamProtocol>,
    connections: HashMap<PeerId, Vec<ConnectionId>>,
    /// Requests that have no answer yet.
    asked: HashMap<ConnectionId, Vec<usize>>,
    events: VecDeque<ToSwarm<(PeerId, StreamEvent), Open>>,
    waker: Option<Waker>,
}

impl Streams {
    /// Channels are numbered as in `protocols`.
    pub(crate) fn new(protocols: Vec<StreamProtocol>) -> Self {
        Self {
            protocols,
            connections: HashMap::new(),
            asked: HashMap::new(),
            events: VecDeque::new(),
            waker: None,
        }
    }

    /// Asks for a stream to `peer`; an event will answer.
    pub(crate) fn open(&mut self, peer: PeerId, channel: usize) {
        let connection = self.connections.get(&peer).and_then(|all| all.first());
        let event = match connection {
            Some(connection) => {
                self.asked.entry(*connection).or_default().push(channel);
                ToSwarm::NotifyHandler {
                    peer_id: peer,
                    handler: NotifyHandler::One(*connection),
                    event: Open(channel),
                }
            }
            None => ToSwarm::GenerateEvent((peer, StreamEvent::Failed { channel })),
        };
        self.emit(event);
    }

    fn emit(&mut self, event: ToSwarm<(PeerId, StreamEvent), Open>) {
        self.events.push_back(event);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn handler(&self) -> StreamsHandler {
        StreamsHandler {
            protocols: self.protocols.clone(),
            events: VecDeque::new(),
        }
    }
}

impl NetworkBehaviour for Streams {
    type ConnectionHandler = StreamsHandler;
    type ToSwarm = (PeerId, StreamEvent);

    fn handle_established_inbound_connection(
        &mut self,
        _id: ConnectionId,
        _peer: PeerId,
        _local: &Multiaddr,
        _remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _id: ConnectionId,
        _peer: PeerId,
        _address: &Multiaddr,
        _role: Endpoint,
        _port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(made) => {
                let connections = self.connections.entry(made.peer_id).or_default();
                connections.push(made.connection_id);
            }
            FromSwarm::ConnectionClosed(closed) => {
                if let Some(connections) = self.connections.get_mut(&closed.peer_id) {
                    connections.retain(|id| *id != closed.connection_id);
                    if connections.is_empty() {
                        self.connections.remove(&closed.peer_id);
                    }
                }
                for channel in self.asked.remove(&closed.connection_id).unwrap_or_default() {
                    let event = (closed.peer_id, StreamEvent::Failed { channel });
                    self.emit(ToSwarm::GenerateEvent(event));
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        id: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        if let StreamEvent::Opened { channel, .. } | StreamEvent::Failed { channel } = &event
            && let Some(asked) = self.asked.get_mut(&id)
            && let Some(place) = asked.iter().position(|one| one == channel)
        {
            asked.swap_remove(place);
        }
        self.emit(ToSwarm::GenerateEvent((peer, event)));
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(event);
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

type HandlerEvent = ConnectionHandlerEvent<Choice, usize, StreamEvent>;

/// The streams of one connection.
#[derive(Debug)]
pub(crate) struct StreamsHandler {
    protocols: Vec<StreamProtocol>,
    events: VecDeque<HandlerEvent>,
}

impl ConnectionHandler for StreamsHandler {
    type FromBehaviour = Open;
    type ToBehaviour = StreamEvent;
    type InboundProtocol = Choice;
    type OutboundProtocol = Choice;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = usize;

    fn listen_protocol(&self) -> SubstreamProtocol<Choice, ()> {
        SubstreamProtocol::new(Choice(self.protocols.clone()), ())
    }

    fn poll(&mut self, _cx: &mut Context<'_>) -> Poll<HandlerEvent> {
        // Events only come in on_… below, after which the connection polls again.
        self.events.pop_front().map_or(Poll::Pending, Poll::Ready)
    }

    fn on_behaviour_event(&mut self, Open(channel): Open) {
        let protocols = self.protocols.get(channel).cloned().into_iter().collect();
        self.events
            .push_back(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(Choice(protocols), channel),
            });
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Choice, Choice, (), usize>) {
        let event = match event {
            ConnectionEvent::FullyNegotiatedInbound(inbound) => {
                let (stream, protocol) = inbound.protocol;
                let channel = self.protocols.iter().position(|one| *one == protocol);
                let Some(channel) = channel else { return };
                StreamEvent::Inbound { channel, stream }
            }
            ConnectionEvent::FullyNegotiatedOutbound(outbound) => StreamEvent::Opened {
                channel: outbound.info,
                stream: outbound.protocol.0,
            },
            ConnectionEvent::DialUpgradeError(DialUpgradeError { info, error }) => {
                if let StreamUpgradeError::Apply(never) = error {
                    match never {}
                }
                StreamEvent::Failed { channel: info }
            }
            _ => return,
        };
        self.events
            .push_back(ConnectionHandlerEvent::NotifyBehaviour(event));
    }
}

/// The protocols one stream may have; no handshake follows the choice.
#[derive(Debug)]
pub(crate) struct Choice(Vec<StreamProtocol>);

impl UpgradeInfo for Choice {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.clone().into_iter()
    }
}

impl InboundUpgrade<Stream> for Choice {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

impl OutboundUpgrade<Stream> for Choice {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}
