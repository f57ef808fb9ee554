//! One RTMP connection without its socket: bytes in, events and answers out (Adobe RTMP 1.0, sections 5 and 7).
//!
//! Handshake, chunk writing and answers are the crate's; what a stranger writes is read by [`super::chunk`] and
//! [`super::amf`].

use std::io::Cursor;

use bytes::{Bytes, BytesMut};
use scuffle_rtmp::chunk::writer::ChunkWriter;
use scuffle_rtmp::chunk::{CHUNK_SIZE, Chunk};
use scuffle_rtmp::command_messages::netconnection::{
    NetConnectionCommand, NetConnectionCommandConnectResult,
};
use scuffle_rtmp::command_messages::on_status::{OnStatus, OnStatusCode};
use scuffle_rtmp::command_messages::{Command as Answer, CommandResultLevel, CommandType};
use scuffle_rtmp::error::RtmpError;
use scuffle_rtmp::handshake::{HandshakeServer, RTMP_HANDSHAKE_SIZE};
use scuffle_rtmp::messages::MessageType;
use scuffle_rtmp::protocol_control_messages::{
    ProtocolControlMessageAcknowledgement, ProtocolControlMessageSetChunkSize,
    ProtocolControlMessageSetPeerBandwidth, ProtocolControlMessageSetPeerBandwidthLimitType,
    ProtocolControlMessageWindowAcknowledgementSize,
};
use scuffle_rtmp::user_control_messages::EventMessageStreamBegin;

use super::amf::{BadCommand, Command};
use super::chunk::{BadChunk, ChunkReader, Message};

/// Bytes after which we want and give acknowledgements.
const WINDOW: u32 = 2_500_000;
/// Smallest acknowledgement window that a publisher may ask for; less would be answered for every packet.
const MIN_WINDOW: u32 = 64 * 1024;
/// The one message stream that a connection gets.
const STREAM: u32 = 1;

/// Something that the connection's owner has to act on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// Answer with [`Session::accept`] or [`Session::refuse`].
    Publish {
        /// The first part of the address, such as `live`.
        app: String,
        /// The rest of it.
        name: String,
    },
    /// A video tag's body.
    Video {
        /// Milliseconds, wrapping.
        time: u32,
        /// The body.
        body: Bytes,
    },
    /// An audio tag's body.
    Audio {
        /// Milliseconds, wrapping.
        time: u32,
        /// The body.
        body: Bytes,
    },
    /// The publisher says that it is done.
    Unpublish,
}

/// The peer does not speak RTMP as a publisher should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The handshake.
    #[error("the first byte is {0}, RTMP begins with 3: this is another protocol")]
    NotRtmp(u8),
    /// The handshake, or an answer that cannot be written.
    #[error("the handshake failed: {0}")]
    Handshake(#[from] RtmpError),
    /// Chunks.
    #[error(transparent)]
    Chunk(#[from] BadChunk),
    /// Commands.
    #[error(transparent)]
    Command(#[from] BadCommand),
    /// A control message of the wrong size.
    #[error("a control message of type {0} is cut short")]
    Control(u8),
    /// It wants to watch.
    #[error("playing over RTMP is not supported: open the stream's page or its HLS playlist over HTTP")]
    Play,
    /// Publish before connect, or twice.
    #[error("{0} came out of order")]
    Order(&'static str),
}

/// The state of one connection.
pub(crate) struct Session {
    handshake: Option<HandshakeServer>,
    greeted: bool,
    input: BytesMut,
    chunks: ChunkReader,
    writer: ChunkWriter,
    output: Vec<u8>,
    app: Option<String>,
    published: bool,
    received: u32,
    acknowledged: u32,
    window: u32,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("app", &self.app)
            .field("published", &self.published)
            .finish_non_exhaustive()
    }
}

impl Default for Session {
    fn default() -> Self {
        Self {
            handshake: Some(HandshakeServer::default()),
            greeted: false,
            input: BytesMut::new(),
            chunks: ChunkReader::default(),
            writer: ChunkWriter::default(),
            output: Vec::new(),
            app: None,
            published: false,
            received: 0,
            acknowledged: 0,
            window: WINDOW,
        }
    }
}

impl Session {
    /// Where to read into; call [`Self::received`] afterwards.
    pub(crate) fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// `n` more bytes were read.
    pub(crate) fn received(&mut self, n: usize) {
        self.received = self.received.wrapping_add(n as u32);
        if self.handshake.is_none() && self.received.wrapping_sub(self.acknowledged) >= self.window {
            self.acknowledged = self.received;
            let sequence_number = self.received;
            // Writing to memory cannot fail.
            let _ = ProtocolControlMessageAcknowledgement { sequence_number }
                .write(&mut self.output, &self.writer);
        }
    }

    /// What has to be written to the peer.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// The next event in what was read; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`Fault`]: close the connection.
    pub(crate) fn next(&mut self) -> Result<Option<Event>, Fault> {
        if !self.shake_hands()? {
            return Ok(None);
        }
        while let Some(message) = self.chunks.next(&mut self.input)? {
            if let Some(event) = self.message(message)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The publisher may send.
    ///
    /// # Errors
    /// [`Fault::Handshake`] when the answer cannot be encoded.
    pub(crate) fn accept(&mut self) -> Result<(), Fault> {
        self.published = true;
        EventMessageStreamBegin { stream_id: STREAM }
            .write(&self.writer, &mut self.output)
            .map_err(RtmpError::from)?;
        self.status(OnStatusCode::NET_STREAM_PUBLISH_START, CommandResultLevel::Status, "publishing".into())
    }

    /// The publisher may not, or no longer, send; `why` is shown by its program, once hands are shaken. Close the connection
    /// after this is written.
    ///
    /// # Errors
    /// [`Fault::Handshake`] when the answer cannot be encoded.
    pub(crate) fn refuse(&mut self, why: String) -> Result<(), Fault> {
        if self.handshake.is_some() {
            return Ok(());
        }
        self.status("NetStream.Publish.BadName".into(), CommandResultLevel::Error, why)
    }

    /// Takes the peer's two parts of the handshake (5.2); true when it is over.
    fn shake_hands(&mut self) -> Result<bool, Fault> {
        while let Some(handshake) = &mut self.handshake {
            match self.input.first() {
                Some(&version) if !self.greeted && version != 3 => return Err(Fault::NotRtmp(version)),
                _ => {}
            }
            let part = RTMP_HANDSHAKE_SIZE + usize::from(!self.greeted);
            if self.input.len() < part {
                return Ok(false);
            }
            handshake.handshake(&mut Cursor::new(self.input.split_to(part).freeze()), &mut self.output)?;
            if self.greeted {
                self.handshake = None;
                let chunk_size = CHUNK_SIZE as u32;
                ProtocolControlMessageSetChunkSize { chunk_size }.write(&mut self.output, &self.writer)?;
                self.writer.set_chunk_size(CHUNK_SIZE);
            }
            self.greeted = true;
        }
        Ok(true)
    }

    fn message(&mut self, message: Message) -> Result<Option<Event>, Fault> {
        let Message { kind, time, payload, .. } = message;
        let number = |at: usize| match payload.get(at..at + 4) {
            Some(b) => Ok(u32::from_be_bytes([b[0], b[1], b[2], b[3]])),
            None => Err(Fault::Control(kind)),
        };
        match MessageType(kind) {
            MessageType::SetChunkSize => self.chunks.set_chunk_size(number(0)?)?,
            MessageType::Abort => self.chunks.abort(number(0)?),
            MessageType::WindowAcknowledgementSize => self.window = number(0)?.max(MIN_WINDOW),
            MessageType::UserControlEvent if payload.starts_with(&[0, 6]) => self.pong(number(2)?)?,
            MessageType::Audio if self.published => return Ok(Some(Event::Audio { time, body: payload })),
            MessageType::Video if self.published => return Ok(Some(Event::Video { time, body: payload })),
            MessageType::CommandAMF0 => return self.command(&Command::parse(&payload)?),
            // AMF 3 commands hold AMF 0 values behind one byte.
            MessageType::CommandAMF3 => {
                return self.command(&Command::parse(payload.get(1..).unwrap_or(&[]))?);
            }
            _ => {}
        }
        Ok(None)
    }

    fn pong(&mut self, stamp: u32) -> Result<(), Fault> {
        let body = [&[0, 7][..], &stamp.to_be_bytes()].concat();
        let chunk = Chunk::new(2, 0, MessageType::UserControlEvent, 0, body.into());
        Ok(self.writer.write_chunk(&mut self.output, chunk).map_err(RtmpError::from)?)
    }

    fn command(&mut self, command: &Command) -> Result<Option<Event>, Fault> {
        match command.name.as_str() {
            "connect" => self.connect(command)?,
            "createStream" => {
                let result = NetConnectionCommand::CreateStreamResult { stream_id: f64::from(STREAM) };
                self.answer(command.transaction, CommandType::NetConnection(result))?;
            }
            "publish" => {
                let app = self.app.clone().ok_or(Fault::Order("publish"))?;
                if self.published {
                    return Err(Fault::Order("a second publish"));
                }
                let name = command.texts.first().cloned().unwrap_or_default();
                return Ok(Some(Event::Publish { app, name }));
            }
            "play" | "play2" => return Err(Fault::Play),
            "deleteStream" | "FCUnpublish" | "closeStream" if self.published => {
                return Ok(Some(Event::Unpublish));
            }
            // releaseStream, FCPublish, _checkbw and whatever else encoders send needs no answer.
            _ => {}
        }
        Ok(None)
    }

    fn connect(&mut self, command: &Command) -> Result<(), Fault> {
        self.app = Some(command.app.clone().unwrap_or_default());
        let (window, out, writer) = (WINDOW, &mut self.output, &self.writer);
        ProtocolControlMessageWindowAcknowledgementSize { acknowledgement_window_size: window }
            .write(out, writer)?;
        ProtocolControlMessageSetPeerBandwidth {
            acknowledgement_window_size: window,
            limit_type: ProtocolControlMessageSetPeerBandwidthLimitType::Dynamic,
        }
        .write(out, writer)?;
        let result = NetConnectionCommand::ConnectResult(NetConnectionCommandConnectResult::default());
        self.answer(command.transaction, CommandType::NetConnection(result))
    }

    fn status(&mut self, code: OnStatusCode, level: CommandResultLevel, why: String) -> Result<(), Fault> {
        let status = OnStatus { code, level, description: Some(why.into()), others: None };
        self.answer(0.0, CommandType::OnStatus(status))
    }

    fn answer(&mut self, transaction_id: f64, command_type: CommandType<'_>) -> Result<(), Fault> {
        Ok(Answer { transaction_id, command_type }.write(&mut self.output, &self.writer)?)
    }
}
